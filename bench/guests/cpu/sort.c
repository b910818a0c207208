/* SPDX-License-Identifier: Apache-2.0 */
/* Sorts n records by number with a comparison function, as qsort does, by heap and by quicksort. */
typedef unsigned int u32;
struct record {
	u32 key, value;
};
typedef int (*compare)(const struct record *, const struct record *);

enum { MAX = 1 << 14 };
static struct record records[MAX];

static int by_key(const struct record *a, const struct record *b) { return (a->key > b->key) - (a->key < b->key); }
static int by_value(const struct record *a, const struct record *b) { return (a->value > b->value) - (a->value < b->value); }
static const compare volatile orders[2] = {by_key, by_value};

static void swap(struct record *a, struct record *b)
{
	struct record t = *a;

	*a = *b, *b = t;
}

static void quick(struct record *r, int lo, int hi, compare less)
{
	while (lo < hi) {
		struct record pivot = r[lo + (hi - lo) / 2];
		int i = lo, j = hi;

		while (i <= j) {
			while (less(&r[i], &pivot) < 0)
				i++;
			while (less(&r[j], &pivot) > 0)
				j--;
			if (i <= j)
				swap(&r[i++], &r[j--]);
		}
		if (j - lo < hi - i) {
			quick(r, lo, j, less);
			lo = i;
		} else {
			quick(r, i, hi, less);
			hi = j;
		}
	}
}

static void sift(u32 *v, int root, int n)
{
	for (int child; (child = 2 * root + 1) < n; root = child) {
		u32 t = v[root];

		if (child + 1 < n && v[child] < v[child + 1])
			child++;
		if (t >= v[child])
			return;
		v[root] = v[child], v[child] = t;
	}
}

static void heap(u32 *v, int n)
{
	for (int i = n / 2; i-- > 0;)
		sift(v, i, n);
	while (n-- > 1) {
		u32 t = v[0];

		v[0] = v[n], v[n] = t;
		sift(v, 0, n);
	}
}

static u32 values[MAX];

__attribute__((export_name("run"))) u32 run(u32 n)
{
	u32 seed = 1, sum = 0;

	if (n > MAX)
		n = MAX;
	for (u32 i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		records[i].key = seed >> 8, records[i].value = seed % 1000, values[i] = seed;
	}
	quick(records, 0, n - 1, orders[0]);
	sum += records[n / 2].key;
	quick(records, 0, n - 1, orders[1]);
	sum += records[n / 2].value;
	heap(values, n);
	return sum + values[n / 2];
}
