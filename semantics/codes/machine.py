"""Runs on the machine: limits, nested inference, texts and maps."""

from __future__ import annotations

from ppl.semantics.codes.page import Code

PAGES: dict[str, Code] = {
    "E840": Code(
        "a measure that is not rational",
        """
Exact enumeration in fractions treats finite programs whose scores are logarithms of fractions.
Other programs are enumerated in floating point.

    factor exp(-0.5)        # not rational
    factor log(2/3)
""",
    ),
    "E841": Code(
        "a random function from outside `normalize`",
        """
What `normalize` sums over is drawn inside it. A function made by `mem` outside may be asked inside
only for values that it already has, and a `lazy` value only if it is known. The values of one that
is drawn inside are asked for inside as well: `exact` cannot list the paths of those to come.

    f ~ mem(fn (k: nat) => bernoulli(0.3));  x ~ normalize({ return f(0) }, exact)
    x ~ normalize({ f ~ mem(fn (k: nat) => bernoulli(0.3)); return f(0) }, exact)
""",
    ),
    "E843": Code(
        "a run that used up its fuel",
        """
The number of steps of a run is limited, to a million under `ppl.infer` if nothing else is said, and
the run went past it: a loop or a recursion did not end in time. Recursion ends with probability one
if each call makes, on average, less than one call of the same kind. For longer runs set
`limits=ppl.limits(fuel=…)`.

    fn tree() -> measure[nat] {
      x ~ bernoulli(0.6)      # wrong: 1.2 calls a call
      if x { a ~ tree(); b ~ tree(); return a + b } else { return 1 }
    }
    fn tree() -> measure[nat] {
      x ~ bernoulli(0.4)      # 0.8
      if x { a ~ tree(); b ~ tree(); return a + b } else { return 1 }
    }
""",
    ),
    "E844": Code(
        "`normalize` of a measure without mass",
        """
A measure is divided by its mass, which must not be zero: some execution has to satisfy the
conditions.

    x ~ normalize({ a ~ bernoulli(0.3); condition a and not a; return a }, exact)
    x ~ normalize({ a ~ bernoulli(0.3); condition a or not a; return a }, exact)
""",
    ),
    "E845": Code(
        "a score above 0 under `rejection`",
        """
`normalize(m, rejection)` accepts an execution with probability exp(its scores), and so no score may
be above 0: no density above 1, no positive `factor`. Subtract a bound of the score, which changes
nothing after normalising, or weigh executions with `importance(n)` instead of rejecting them.

    x ~ normalize({ a ~ normal(0, 1); factor 3 - a^2; return a }, rejection)
    x ~ normalize({ a ~ normal(0, 1); factor -a^2; return a }, rejection)
""",
    ),
    "E846": Code(
        "`rejection` gave up",
        """
No execution was accepted in the number of tries allowed, a million if `rejection(tries)` says
nothing else. To go on without a value would change the law.

    x ~ normalize({ a ~ normal(0, 1); condition a > 9; return a }, rejection(1_000))
    x ~ normalize({ a ~ truncate(normal(0, 1), 9); return a }, rejection(1_000))
""",
    ),
    "E847": Code(
        "runs that took too long",
        """
A limit was set on the time of all runs together, and it is over; the place is where the last run
was stopped. Ctrl-C stops as well, and keeps the executions made so far.

    ppl.infer(target, ppl.importance(particles=100_000), limits=ppl.limits(seconds=1))     # wrong
    ppl.infer(target, ppl.importance(particles=100_000), limits=ppl.limits(seconds=600))
""",
    ),
    "E848": Code(
        "runs that hold too much memory",
        """
A limit was set on the memory by which the process may grow, or the memory of the machine is used
up. A recursion that is not in tail position holds a frame for each call, and executions hold their
sites until the end.

    fn count(n: nat) -> measure[nat] {    # wrong, for very large n
      x ~ bernoulli(0.5);  k ~ count(n - 1);  return k + indicator(x)
    }
    fn count(n: nat, k: nat) -> measure[nat] {
      x ~ bernoulli(0.5);  count(n - 1, k + indicator(x))
    }
""",
    ),
    "E849": Code(
        "inference that nests too deeply",
        """
A measure that is normalised inside one that is normalised, and so on, takes room on Python's stack
at each level: some hundred levels fit. Mostly the recursion does not end.

    fn level(n: nat) -> dist[bool] {      # wrong: for ever
      normalize({ x ~ level(n + 1); y ~ bernoulli(0.3); condition x or y; return y }, exact)
    }
    fn level(n: nat) -> dist[bool] {
      if n == 0 { bernoulli(0.3) } else {
        normalize({ x ~ level(n - 1); y ~ bernoulli(0.3); condition x or y; return y }, exact)
      }
    }
""",
    ),
    "E870": Code(
        "keys that cannot be compared",
        """
A map finds a value by comparing keys, so keys are numbers, texts, truth values, values of declared
types, or tuples, records, arrays and maps of such. Functions and measures have no decidable
equality. The same holds for what a function of `mem` or `gaussian_process` is asked for, since it
remembers its answers.

    let m = map_of([(fn (x) => x, 1)])
    let m = map_of([("identity", 1)])
""",
    ),
    "E871": Code(
        "a value that `text` does not write",
        """
`text(x)` writes a number, a truth value or a text. Arrays and other compound values are written
part by part.

    let s = text([1, 2, 3])
    let s = join([text(k) for k in [1, 2, 3]], ", ")
""",
    ),
    "E872": Code(
        "a key that the map does not have",
        """
`m[key]` is the value of a key that the map must have when the program runs. Where it may lack it,
say what happens then.

    let n = counts[word]
    let n = get(counts, word, 0)
""",
    ),
    "E873": Code(
        "a kernel that is not positive semidefinite",
        """
The covariance of a Gaussian process at any inputs must be positive semidefinite; with this kernel a
conditional variance would be negative. Sums and products of kernels, and positive multiples, are
kernels; differences are not.

    f ~ gaussian_process(fn (x) => 0, fn (a, b) => abs(a - b))
    f ~ gaussian_process(fn (x) => 0, fn (a, b) => exp(-abs(a - b)))
""",
    ),
}
