"""Running programs, compiled or on the machine."""

from __future__ import annotations

from ppl.semantics.codes.page import Code

PAGES: dict[str, Code] = {
    "E701": Code(
        "sides of a choice, or steps of a loop, that do not join",
        """
Which side of an `if` on a random value is taken differs from run to run, and all runs are computed
together. So both sides must give values of one form: arrays of one length, one text. Functions,
measures and distributions of any kind may differ. Likewise the state of a loop has one form from
step to step. The machine has no such limits; `ppl.infer` goes over to it by itself, where the
method runs there, unless engine='xla' was asked for.

    let xs = if coin { [1.0, 2.0] } else { [3.0] }        # two lengths
    let xs = if coin { [1.0, 2.0] } else { [3.0, 0.0] }   # one
""",
    ),
    "E702": Code(
        "a size that is not known while compiling",
        """
Sizes of ranges, repeated arrays and slices are part of the compiled program. They may be numbers,
lengths of data, and integer parameters of the model, but not random or computed from random values.

    n ~ poisson(3)
    xs ~ for _ in range(n) { normal(0, 1) }                                 # a random size
    xs ~ for i in range(20) { x ~ normal(0, 1); return if i < n { x } else { 0 } }   # a bound
""",
    ),
    "E703": Code(
        "an index or slice outside its array",
        """
Indices start at 0, and a literal negative index counts from the end. A slice must lie within the
array.

    let y = [1, 2, 3]
    y[3]        # the last is y[2], also y[-1]
""",
    ),
    "E704": Code(
        "sizes that do not agree",
        """
Arrays are combined element by element when their sizes are equal; a number goes with anything, and
nothing else is stretched. `zip` pairs arrays of one length, the inner sizes of a matrix product
agree, and so do those of what is observed and of what its distribution draws. The elements of an
array of arrays have one length.

    model(x=[1, 2, 3], y=[1.5, 2.5])            # with `observe y ~ normal(b * x, 1)`
    model(x=[1, 2, 3], y=[1.5, 2.5, 3.5])
""",
    ),
    "E705": Code(
        "a distribution of a random family inside another",
        """
A distribution chosen at random among different families can be drawn from and observed. Inside
`truncate`, `iid` or `transform` its family must be known.

    observe y ~ truncate(if c { normal(0, 1) } else { cauchy(0, 1) }, 0)
    observe y ~ if c { truncate(normal(0, 1), 0) } else { truncate(cauchy(0, 1), 0) }
""",
    ),
    "E706": Code(
        "something that XLA cannot run",
        """
Inductive types and `match` on them run on the abstract machine, which chooses what to compute as it
goes. So do `mem` and `lazy`, and `normalize`.

    f ~ mem(fn (k: nat) => normal(0, 1))        # the machine
    f ~ for _ in range(4) { normal(0, 1) }      # XLA, if four are enough
""",
    ),
    "E707": Code(
        "recursion without a bound that is known while compiling",
        """
A recursive call is unrolled while its end depends on sizes and constants. If it depends on random
values, tail recursion runs as a loop, and other recursion needs the abstract machine.

    fn f(n: nat) { if n == 0 { 0 } else { 1 + f(n - 1) } }
    f(4)        # unrolled
    f(k)        # with k random: not
    fn g(n: nat, sum: nat) { if n == 0 { sum } else { g(n - 1, sum + 1) } }
    g(k, 0)     # a loop
""",
    ),
    "E708": Code(
        "a draw that cannot be enumerated",
        """
Enumerating a computation needs every one of its draws to be made by the program itself. Code from
elsewhere that takes a random key, such as a sampler of another library, can only be tested by
running it.

    omega, key = omega.foreign_key(path)            # cannot be enumerated
    omega, x = omega.draw(path, distribution)       # can
""",
    ),
    "E709": Code(
        "an index that went out of range while running",
        """
An index that depends on random values can leave its array in some runs. Results computed from it
would be meaningless, so none are given. Branches that are not taken do not count.

    let y = [1.0, 2.0, 3.0]
    k ~ poisson(1)
    observe 2.0 ~ normal(y[k], 1)                  # sometimes k is 3 or more
    k ~ categorical([0.5, 0.3, 0.2])
    observe 2.0 ~ normal(y[k], 1)
""",
    ),
    "E710": Code(
        "a cast that failed while running",
        """
A number that may be negative becomes a `nat`, and a nonnegative one a `prob`, by a cast that is
checked when the program runs.

    let p = a / b               # a prob only while a <= b
    x ~ bernoulli(p)
""",
    ),
    "E711": Code(
        "a function of Python that does not fit",
        """
A Python function given as data becomes part of the compiled program: it is traced once, on arrays
of JAX without known values, and must give what its declared type says.

    model m(f: real -> real) { x ~ normal(0, 1); return f(x) }
    m(f=lambda x: float(numpy.sin(x)))      # wrong: needs the value of x
    m(f=lambda x: jax.numpy.sin(x))         # right
""",
    ),
    "E712": Code(
        "a method that does not run where the program does",
        """
Programs with inductive types, `mem`, recursion or sizes that depend on random choices run on the
machine, one execution at a time. Methods that need gradients run on XLA.

    ppl.infer(target, ppl.nuts())                       # wrong for such a program
    ppl.infer(target, ppl.importance(particles=5_000))  # right
""",
    ),
    "E713": Code(
        "random choices inside a loop without a bound have no density",
        """
Gradient methods move all random choices of a program at once, as one vector. A loop that draws
until something happens, by `iterate … until` or by recursion, makes as many choices as it happens
to, so there is no such vector. Give the loop a bound, which makes the vector as long as the
longest run, or use a method that runs the program forward.

    x ~ iterate s = 0.0 until s > 3 { e ~ normal(1, 1); return s + e }          # not with nuts
    x ~ iterate s = 0.0 until s > 3 max 20 { e ~ normal(1, 1); return s + e }
""",
    ),
    "E714": Code(
        "no gradient through a loop without a bound",
        """
A loop that computes until it is done keeps no record of its steps, and the derivative of its
result would need one. It may depend on data, but not on continuous random choices where gradients
are taken. With a bound it may.

    a ~ lognormal(0, 1)
    let r = iterate r = 1.0 until abs(r * r - a) < 1e-9 { (r + a / r) / 2 }       # wrong
    let r = iterate r = 1.0 until abs(r * r - a) < 1e-9 max 30 { (r + a / r) / 2 }
""",
    ),
    "E715": Code(
        "a loop without a bound that does not fit XLA",
        """
The state of a loop has one form and one size on XLA, from the first step to the last, and what is
drawn in all its steps has to fit in memory. The machine runs loops whose state grows, and long
ones; `ppl.infer` goes over to it by itself unless engine='xla' was asked for.

    xs ~ iterate xs = [0.0] until sum(xs) > 3 { e ~ normal(1, 1); return concat(xs, [e]) }
    s ~ iterate s = 0.0 until s > 3 { e ~ normal(1, 1); return s + e }    # draws are kept
""",
    ),
    "E716": Code(
        "the engine asked for cannot run this",
        """
`engine="xla"` asks for compiled code, which has no inductive types, `mem`, general recursion and
sizes that depend on random choices. `engine="machine"` asks for one execution after the other,
which has no gradients. `mcmc` runs on the machine alone. By default the compiler chooses;
`ppl check --engine` shows what, and why.

    ppl.infer(target, ppl.nuts(), engine="machine")          # wrong
    ppl.infer(target, ppl.importance(), engine="machine")    # right
""",
    ),
    "E718": Code(
        "a summed loop starts outside its choices' values",
        """
Where the choices that a loop carries are summed out, its states are the values of those choices, 0
to K - 1, and it starts from one of them. A start that is a number in the program may lie outside:
then the states are as many as it takes. Data may not, since new data must not change the states.

    model m(y: [real], start: nat) {
      zs ~ scan z = start for v in y {                    # wrong if start is 3 or more
        z ~ categorical([0.2, 0.5, 0.3]); observe v ~ normal(z, 1); return z
      }
      return zs
    }

Start from a written number, draw the first state before the loop, or use a method that draws:
importance, smc, mcmc.
""",
    ),
    "E719": Code(
        "a statistic of too few numbers",
        """
A mean needs a number at least, and a variance or standard deviation (which divide by n - 1) two.
Sums of no numbers are 0, products 1, and the largest of none is -infinity; a mean of none is no
number.

    let m = mean(ys)                                      # an error if there are no data
    let m = if len(ys) > 0 { mean(ys) } else { 0 }        # says what it is then
""",
    ),
    "E727": Code(
        "a whole number divided by zero",
        """
`n // k` and `n % k` of whole numbers need a k that is not zero. Of real numbers, a quotient by zero
is an infinity, or NaN for zero by zero; of whole numbers there is no such thing.

    let share = total // count                                      # an error where count is 0
    let share = if count > 0 { total // count } else { 0 }          # right
""",
    ),
    "E728": Code(
        "a whole number too large for compiled code",
        """
Compiled code computes whole numbers in 64 bits (32 in single precision): up to 9.2e18. The machine
has no such bound: `ppl.infer` goes over to it by itself (W717) unless engine='xla' was asked for or
the method runs compiled only. Where digits do not matter, real numbers go up to 1e308:

    let orders = prod([i + 1 for i in range(30)])            # 30! does not fit
    let orders = prod([i + 1.0 for i in range(30)])          # right, to 16 digits
    let log_orders = lfactorial(30)                          # better, where its logarithm is needed
""",
    ),
    "E730": Code(
        "a suspension point at which compiled code cannot stop",
        """
Sequential Monte Carlo stops all particles after each scoring statement of the model, at each step
of a `scan` or `fold` that scores, and at each `checkpoint`. Compiled code stops all of them at
once: not in a branch that some of them take, in recursion, at the steps of `iterate`, inside a step
of another loop, or inside a `for`. The machine stops particles one by one; `ppl.infer` goes over to
it by itself unless engine='xla' was asked for. Beside a loop of a model a guide's loop takes as
many steps. A loop that always runs stops on either:

    if long { xs ~ scan x = 0 for y in ys { … observe y ~ normal(x, 1) … } }     # the machine's
    xs ~ scan x = 0 for y in ys { … if long { observe y ~ normal(x, 1) } … }     # on XLA, too
""",
    ),
    "E731": Code(
        "the states of a loop that were not kept",
        """
With `keep_history=False` particles keep what happened in the last step of each loop that they stop
in, so that memory does not grow with the number of steps. An array of all states is then not there
to be used or returned.

    hs ~ scan h = h0 for y in ys { … }      # all states: needs the history
    h  ~ fold h = h0 for y in ys { … }      # the last
""",
    ),
    "E732": Code(
        "a language model, which is typed and cannot be run",
        """
Programs over language models (`lm`, contexts, tokens) are parsed and typed, so that `ppl check`
says whether they are well formed. There is no evaluator of them here: elaborating or running one
stops with this error, where a model, a context or a token is first asked for something.

    model constrained(lm: lm, prompt: text) { t ~ lm.next(lm.context(prompt)); return t }
""",
    ),
}
