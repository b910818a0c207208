/* SPDX-License-Identifier: Apache-2.0 */
/* Multiplies square matrices of doubles of many sizes, up to n. */
enum { MAX = 128 };
static double a[MAX * MAX], b[MAX * MAX], c[MAX * MAX];

static void multiply(int n, const double *x, const double *y, double *z)
{
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++) {
			double sum = 0;

			for (int k = 0; k < n; k++)
				sum += x[i * n + k] * y[k * n + j];
			z[i * n + j] = sum;
		}
}

__attribute__((export_name("run"))) unsigned run(unsigned n)
{
	double sum = 0;

	if (n > MAX)
		n = MAX;
	for (unsigned size = 1; size <= n; size++) {
		for (unsigned i = 0; i < size * size; i++)
			a[i] = i % 7, b[i] = i % 5;
		multiply(size, a, b, c);
		sum += c[size * size - 1];
	}
	return (unsigned)sum;
}
