/* SPDX-License-Identifier: Apache-2.0 */
/* Parses a JSON text into a tree and writes it again, n times. */
typedef unsigned int u32;

enum kind { NUL, TRUE, FALSE, NUMBER, STRING, LIST, OBJECT };
struct value {
	enum kind kind;
	int number, len;
	const char *text;
	struct value *key, *child, *next;
};

static const char text[] =
	"{\"events\": [{\"name\": \"execsnoop\", \"pid\": 4711, \"args\": [\"ls\", \"-l\", \"/tmp\"], \"ok\": true, \"ret\": -2},\n"
	" {\"name\": \"opensnoop\", \"pid\": 12, \"args\": [], \"path\": \"/etc/\\\"quoted\\\"/file\", \"ok\": false, \"parent\": null},\n"
	" {\"name\": \"tcplife\", \"pid\": 1, \"tx\": 123456, \"rx\": 987654, \"nested\": [[1, 2, [3, 4, [5]]], {\"a\": {\"b\": {\"c\": []}}}]}],\n"
	" \"host\": \"box-17\", \"time\": 1732550400, \"comment\": \"a longer text, as people write it into such files\"}";
static struct value pool[256];
static int used;
static char out[1024], *end;
static const char *p;

static void space(void)
{
	while (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')
		p++;
}

static int same(const char *s)
{
	const char *q = p;

	for (; *s; s++, q++)
		if (*q != *s)
			return 0;
	p = q;
	return 1;
}

static struct value *parse(void);

static struct value *members(struct value *v, char close)
{
	struct value **tail = &v->child;

	for (p++, space(); *p != close; space()) {
		struct value *key = 0, *child;

		if (v->kind == OBJECT) {
			key = parse();
			space();
			p++;
		}
		child = parse();
		if (!child)
			return 0;
		child->key = key;
		*tail = child, tail = &child->next;
		space();
		if (*p == ',')
			p++;
	}
	p++;
	return v;
}

static struct value *parse(void)
{
	struct value *v = &pool[used++ & 255];

	*v = (struct value){.kind = NUL};
	space();
	switch (*p) {
	case '{':
		v->kind = OBJECT;
		return members(v, '}');
	case '[':
		v->kind = LIST;
		return members(v, ']');
	case '"':
		v->kind = STRING;
		v->text = ++p;
		for (; *p != '"'; p++)
			if (*p == '\\')
				p++;
		v->len = p++ - v->text;
		return v;
	}
	if (same("true"))
		v->kind = TRUE;
	else if (same("false"))
		v->kind = FALSE;
	else if (!same("null")) {
		int sign = *p == '-' ? p++, -1 : 1;

		v->kind = NUMBER;
		for (; *p >= '0' && *p <= '9'; p++)
			v->number = v->number * 10 + *p - '0';
		v->number *= sign;
	}
	return v;
}

static void put(const char *s, int n)
{
	for (; n > 0; n--)
		*end++ = *s++;
}

static void number(int n)
{
	char digits[12];
	int i = sizeof digits;

	if (n < 0)
		*end++ = '-', n = -n;
	do
		digits[--i] = '0' + n % 10;
	while (n /= 10);
	put(digits + i, sizeof digits - i);
}

static void print(const struct value *v)
{
	switch (v->kind) {
	case NUL:
		return put("null", 4);
	case TRUE:
		return put("true", 4);
	case FALSE:
		return put("false", 5);
	case NUMBER:
		return number(v->number);
	case STRING:
		put("\"", 1), put(v->text, v->len);
		return put("\"", 1);
	default:
		put(v->kind == LIST ? "[" : "{", 1);
		for (const struct value *c = v->child; c; c = c->next) {
			if (c->key)
				print(c->key), put(":", 1);
			print(c);
			if (c->next)
				put(",", 1);
		}
		put(v->kind == LIST ? "]" : "}", 1);
	}
}

__attribute__((export_name("run"))) u32 run(u32 n)
{
	u32 sum = 0;

	for (u32 i = 0; i < n; i++) {
		used = 0, end = out, p = text;
		print(parse());
		for (char *c = out; c < end; c++)
			sum = sum * 31 + *c;
	}
	return sum;
}
