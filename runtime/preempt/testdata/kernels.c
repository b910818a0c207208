// CPU-heavy guests for the tests and benchmarks of the rewriter. Built by
//   clang-14 --target=wasm32 -O2 -nostdlib -ffreestanding -fno-builtin -Wl,--no-entry -Wl,--strip-all -o kernels.wasm kernels.c
#define EXPORT(name) __attribute__((export_name(#name))) unsigned name

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

static u32 seed = 1;
static u32 next(void) { return seed = seed * 1664525u + 1013904223u; }

// sha256: n blocks of one message.
static const u32 K[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

#define ROR(x, n) ((x) >> (n) | (x) << (32 - (n)))
static u32 H[8];
static u8 message[64];

static void block(const u8 *p)
{
	u32 w[64], a = H[0], b = H[1], c = H[2], d = H[3], e = H[4], f = H[5], g = H[6], h = H[7];
	for (int i = 0; i < 16; i++)
		w[i] = (u32)p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
	for (int i = 16; i < 64; i++) {
		u32 s0 = ROR(w[i - 15], 7) ^ ROR(w[i - 15], 18) ^ w[i - 15] >> 3;
		u32 s1 = ROR(w[i - 2], 17) ^ ROR(w[i - 2], 19) ^ w[i - 2] >> 10;
		w[i] = w[i - 16] + s0 + w[i - 7] + s1;
	}
	for (int i = 0; i < 64; i++) {
		u32 t1 = h + (ROR(e, 6) ^ ROR(e, 11) ^ ROR(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i];
		u32 t2 = (ROR(a, 2) ^ ROR(a, 13) ^ ROR(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
		h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
	}
	H[0] += a, H[1] += b, H[2] += c, H[3] += d, H[4] += e, H[5] += f, H[6] += g, H[7] += h;
}

EXPORT(sha256)(u32 n)
{
	for (int i = 0; i < 8; i++)
		H[i] = K[i];
	for (u32 i = 0; i < n; i++) {
		message[i & 63] ^= i;
		block(message);
	}
	return H[0] ^ H[7];
}

// matrix: products of two 64x64 matrices of doubles.
static double A[64][64], B[64][64], C[64][64];

EXPORT(matrix)(u32 n)
{
	double sum = 0;
	for (u32 r = 0; r < n; r++) {
		for (int i = 0; i < 64; i++)
			for (int j = 0; j < 64; j++)
				A[i][j] = i + j + r, B[i][j] = i - j;
		for (int i = 0; i < 64; i++)
			for (int j = 0; j < 64; j++) {
				double s = 0;
				for (int k = 0; k < 64; k++)
					s += A[i][k] * B[k][j];
				C[i][j] = s;
			}
		sum += C[r & 63][63];
	}
	return (u32)(long long)sum;
}

// sort: quicksort with insertion sort for small parts.
static int values[1 << 14];

static void quick(int *a, int lo, int hi)
{
	while (hi - lo > 12) {
		int pivot = a[(lo + hi) / 2], i = lo, j = hi;
		while (i <= j) {
			while (a[i] < pivot)
				i++;
			while (a[j] > pivot)
				j--;
			if (i <= j) {
				int t = a[i];
				a[i++] = a[j], a[j--] = t;
			}
		}
		quick(a, lo, j);
		lo = i;
	}
	for (int i = lo + 1; i <= hi; i++) {
		int v = a[i], j = i - 1;
		for (; j >= lo && a[j] > v; j--)
			a[j + 1] = a[j];
		a[j + 1] = v;
	}
}

EXPORT(sort)(u32 n)
{
	u32 sum = 0;
	for (u32 r = 0; r < n; r++) {
		for (int i = 0; i < 1 << 14; i++)
			values[i] = next();
		quick(values, 0, (1 << 14) - 1);
		sum = sum * 31 + values[r & 16383];
	}
	return sum;
}

// json: a recursive scanner over a generated text.
static char text[1 << 16];
static const char *at;

static char *put(char *p, const char *s)
{
	while (*s)
		*p++ = *s++;
	return p;
}

static void space(void)
{
	while (*at == ' ' || *at == '\n' || *at == '\t')
		at++;
}

static u32 value(void);

static u32 string(void)
{
	u32 h = 2166136261u;
	for (at++; *at != '"'; at++) {
		if (*at == '\\')
			at++;
		h = (h ^ (u8)*at) * 16777619u;
	}
	at++;
	return h;
}

static u32 list(char end)
{
	u32 h = end;
	at++;
	for (space(); *at != end; space()) {
		h = h * 31 + value();
		space();
		if (*at == ',' || *at == ':')
			at++;
	}
	at++;
	return h;
}

static u32 value(void)
{
	space();
	switch (*at) {
	case '{':
		return list('}');
	case '[':
		return list(']');
	case '"':
		return string();
	case 't':
		at += 4;
		return 1;
	case 'f':
		at += 5;
		return 2;
	case 'n':
		at += 4;
		return 3;
	}
	u32 v = 0;
	for (; (*at >= '0' && *at <= '9') || *at == '-' || *at == '.'; at++)
		v = v * 10 + *at;
	return v;
}

EXPORT(json)(u32 n)
{
	char *p = put(text, "[");
	while (p < text + sizeof text - 128) {
		p = put(p, "{\"name\": \"plugin\", \"pid\": 12345, \"args\": [1, -2, 3.5, \"a\\\"b\"], \"ok\": true, \"err\": null}");
		p = put(p, ",\n");
	}
	p = put(p, "0]");
	*p = 0;
	u32 h = 0;
	for (u32 i = 0; i < n; i++) {
		at = text;
		h = h * 31 + value();
	}
	return h;
}

// fib: nothing but calls.
static u32 fibonacci(u32 n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }
EXPORT(fib)(u32 n) { return fibonacci(n); }

// sieve: short loops over bytes.
static u8 composite[1 << 16];

EXPORT(sieve)(u32 n)
{
	u32 count = 0;
	for (u32 r = 0; r < n; r++) {
		for (u32 i = 0; i < sizeof composite; i++)
			composite[i] = 0;
		for (u32 i = 2; i < sizeof composite; i++) {
			if (composite[i])
				continue;
			count++;
			for (u32 j = i * 2; j < sizeof composite; j += i)
				composite[j] = 1;
		}
	}
	return count;
}

// callbacks: indirect calls in a loop.
static u32 add(u32 a) { return a + 3; }
static u32 twist(u32 a) { return a ^ a << 5; }
static u32 mix(u32 a) { return a * 2654435761u; }
static u32 (*const volatile table[4])(u32) = {add, twist, mix, add};

EXPORT(callbacks)(u32 n)
{
	u32 h = 1;
	for (u32 i = 0; i < n; i++)
		h = table[h & 3](h + i);
	return h;
}

// strlens: a library routine with a short loop, called often.
static __attribute__((noinline)) u32 length(const char *s)
{
	const char *p = s;
	while (*p)
		p++;
	return p - s;
}

EXPORT(strlens)(u32 n)
{
	u32 sum = 0;
	static const char *const words[4] = {"open", "close", "a", "sched_process_exec"};
	for (u32 i = 0; i < n; i++)
		sum += length(words[i & 3]);
	return sum;
}
