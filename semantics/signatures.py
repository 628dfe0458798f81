"""The one table of primitives: names, parameters, types, supports. No JAX here.

Four kinds of primitive:

- *plain*: a type scheme, written in the language (`([[real]]) -> [[real]]`; single lower-case letters
  are type variables), or overloads of one shape that differ in their numbers, tried in order.
- *elementwise*: overloads on scalars, tried in order; the first whose parameters accept the
  arguments wins. With array arguments it applies to each element: a scalar goes with anything,
  arrays must have equal shapes. The overloads of a row are a monotone function on the lattice of
  numbers (tested).
- *reduction*: overloads from an element to a scalar; takes an array of any rank and reduces all of it.
- *rule*: the checker has a rule of its own (`zip`, indexing, `@`).

Distributions are primitives too. An elementwise distribution with array arguments is the
independent product over the elements: one plate, one distribution over arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import e, inf, pi
from typing import Literal

Kind = Literal["plain", "elementwise", "reduction", "rule"]
Noise = Literal["quantile", "location-scale", "gumbel-max", None]


@dataclass(frozen=True)
class Primitive:
    """One row. `static` lists the arguments whose *value* is used as a shape."""

    name: str
    kind: Kind
    #: "real, pos -> real" for elementwise and reductions; a full type scheme for plain ones
    signatures: tuple[str, ...]
    params: tuple[str, ...]
    doc: str
    defaults: Mapping[str, float] = field(default_factory=dict)
    static: tuple[int, ...] = ()


@dataclass(frozen=True)
class Distribution(Primitive):
    """A row that makes a distribution.

    For elementwise rows the signature's result is the type of one draw (`real, pos -> real`);
    plain rows say `dist[…]` (or `measure[…]`: a density without a sampler).
    `support` names a constraint, possibly of the parameters: see `distributions.SUPPORTS`.
    """

    support: str = "real"
    #: finitely many values, so that the site can be enumerated
    finite: bool = False
    noise: Noise = None


def _params(text: str) -> tuple[tuple[str, ...], dict[str, float]]:
    names, defaults = [], {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, _, value = part.partition("=")
        names.append(name)
        if value:
            defaults[name] = float(value)
    return tuple(names), defaults


def _row(
    kind: Kind, name: str, params: str, signatures: str, doc: str, static: tuple[int, ...] = ()
):
    names, defaults = _params(params)
    return Primitive(name, kind, tuple(signatures.split(" | ")), names, doc, defaults, static)


def _plain(name: str, params: str, signature: str, doc: str, static: tuple[int, ...] = ()):
    return _row("plain", name, params, signature, doc, static)


def _each(name: str, params: str, signatures: str, doc: str):
    return _row("elementwise", name, params, signatures, doc)


def _reduce(name: str, signatures: str, doc: str):
    return _row("reduction", name, "xs", signatures, doc)


def _rule(name: str, params: str, doc: str, static: tuple[int, ...] = ()):
    return _row("rule", name, params, "", doc, static)


_ARITHMETIC = [
    _each("add", "a,b", "nat, nat -> nat | int, int -> int | pos, pos -> pos | real, real -> real", "a + b"),
    # 1 - prob: prob is a rule of the checker on the literal 1
    _each("sub", "a,b", "int, int -> int | real, real -> real", "a - b"),
    _each(
        "mul",
        "a,b",
        "bit, bit -> bit | nat, nat -> nat | int, int -> int"
        " | prob, prob -> prob | pos, pos -> pos | real, real -> real",
        "a * b",
    ),
    _each("div", "a,b", "pos, pos -> pos | real, real -> real", "a / b, always real"),
    _each("floordiv", "a,b", "nat, nat -> nat | int, int -> int | pos, pos -> pos | real, real -> real", "a // b"),
    _each("mod", "a,b", "nat, nat -> nat | int, nat -> nat | int, int -> int | pos, pos -> pos | real, real -> real", "a % b"),
    # x ^ 2 (an even literal): at least 0, and n ^ k for literal k >= 0 stays int, by a rule of the checker
    _each("pow", "a,b", "bit, nat -> bit | nat, nat -> nat | int, nat -> int | prob, pos -> prob | pos, real -> pos | real, real -> real", "a ^ b"),
    _each("neg", "a", "int -> int | real -> real", "-a"),
]  # fmt: skip

_COMPARISON = [
    _each(n, "a,b", "real, real -> bool", d)
    for n, d in [("lt", "a < b"), ("gt", "a > b"), ("le", "a <= b"), ("ge", "a >= b")]
] + [
    _rule("eq", "a,b", "a == b, for any comparable type"),
    _rule("ne", "a,b", "a != b, for any comparable type"),
    _each("and", "a,b", "bool, bool -> bool", "both"),
    _each("or", "a,b", "bool, bool -> bool", "either"),
    _each("not", "a", "bool -> bool", "negation"),
]

_ELEMENTARY = [
    _each("exp", "x", "real -> pos", "e^x"),
    _each("expm1", "x", "pos -> pos | real -> real", "e^x - 1"),
    _each("log", "x", "pos -> real", "natural logarithm"),
    _each("log1p", "x", "pos -> pos | real -> real", "log(1 + x)"),
    _each("log1m", "x", "prob -> real | real -> real", "log(1 - x)"),
    _each("log1p_exp", "x", "real -> pos", "log(1 + e^x)"),
    _each("log1m_exp", "x", "real -> real", "log(1 - e^x), for x < 0"),
    _each("log_diff_exp", "a,b", "real, real -> real", "log(e^a - e^b), for a > b"),
    _each("log_sum_exp", "a,b", "real, real -> real", "log(e^a + e^b); one argument: logsumexp"),
    _each("sqrt", "x", "prob -> prob | pos -> pos", "square root"),
    _each("square", "x", "bit -> bit | int -> nat | prob -> prob | real -> pos", "x * x"),
    _each("abs", "x", "bit -> bit | int -> nat | prob -> prob | real -> pos", "absolute value"),
    _each("sign", "x", "nat -> bit | int -> int | pos -> bit | real -> int", "-1, 0 or 1"),
    _each("floor", "x", "pos -> nat | real -> int", "largest integer at most x"),
    _each("ceil", "x", "pos -> nat | real -> int", "smallest integer at least x"),
    _each("round", "x", "pos -> nat | real -> int", "nearest integer"),
    _each("trunc", "x", "pos -> nat | real -> int", "towards zero"),
    _each("sin", "x", "real -> real", "sine"),
    _each("cos", "x", "real -> real", "cosine"),
    _each("tan", "x", "real -> real", "tangent"),
    _each("asin", "x", "real -> real", "inverse sine"),
    _each("acos", "x", "real -> pos", "inverse cosine"),
    _each("atan", "x", "real -> real", "inverse tangent"),
    _each("atan2", "y,x", "real, real -> real", "angle of (x, y)"),
    _each("sinh", "x", "real -> real", "hyperbolic sine"),
    _each("cosh", "x", "real -> pos", "hyperbolic cosine"),
    _each("tanh", "x", "pos -> prob | real -> real", "hyperbolic tangent"),
    _each("asinh", "x", "real -> real", "inverse hyperbolic sine"),
    _each("acosh", "x", "pos -> pos", "inverse hyperbolic cosine"),
    _each("atanh", "x", "real -> real", "inverse hyperbolic tangent"),
    _each("sigmoid", "x", "real -> prob", "1 / (1 + e^-x), also inv_logit"),
    _each("logit", "p", "prob -> real", "log(p / (1 - p))"),
    _each("softplus", "x", "real -> pos", "log(1 + e^x)"),
    _each("log_sigmoid", "x", "real -> real", "log(sigmoid(x))"),
    _each("lgamma", "x", "real -> real", "log of the gamma function"),
    _each("digamma", "x", "real -> real", "derivative of lgamma"),
    _each("trigamma", "x", "real -> pos", "derivative of digamma"),
    _each("lbeta", "a,b", "pos, pos -> real", "log of the beta function"),
    _each("lchoose", "n,k", "real, real -> real", "log of the binomial coefficient"),
    _each("lfactorial", "n", "pos -> pos", "log(n!)"),
    _each("erf", "x", "pos -> prob | real -> real", "error function"),
    _each("erfc", "x", "real -> pos", "1 - erf(x)"),
    _each("erf_inv", "x", "real -> real", "inverse of erf"),
    _each("Phi", "x", "real -> prob", "standard normal distribution function"),
    _each("inv_Phi", "p", "prob -> real", "standard normal quantile"),
    _each("log_Phi", "x", "real -> real", "log of Phi, accurate in the tails"),
    _each("gamma_p", "a,x", "pos, pos -> prob", "regularised lower incomplete gamma function"),
    _each("gamma_q", "a,x", "pos, pos -> prob", "regularised upper incomplete gamma function"),
    _each("inc_beta", "a,b,x", "pos, pos, prob -> prob", "regularised incomplete beta function"),
    _each("bessel_i0e", "x", "real -> prob", "exponentially scaled modified Bessel function I0"),
    _each("bessel_i1e", "x", "real -> real", "exponentially scaled modified Bessel function I1"),
    _each("min", "a,b", "bit, nat -> bit | nat, bit -> bit | nat, nat -> nat | int, int -> int | prob, pos -> prob"
          " | pos, prob -> prob | pos, pos -> pos | real, real -> real", "the smaller"),
    _each("max", "a,b", "bit, bit -> bit | nat, int -> nat | int, nat -> nat | int, int -> int"
          " | prob, prob -> prob | pos, real -> pos | real, pos -> pos | real, real -> real", "the larger"),
    _each("hypot", "a,b", "real, real -> pos", "sqrt(a^2 + b^2)"),
    _each("indicator", "c", "bool -> bit", "1 if c, else 0"),
]  # fmt: skip

_REDUCTION = [
    _reduce("sum", "nat -> nat | int -> int | pos -> pos | real -> real", "sum of all elements"),
    _reduce("prod", "bit -> bit | nat -> nat | int -> int | prob -> prob | pos -> pos | real -> real", "product"),
    _reduce("mean", "prob -> prob | pos -> pos | real -> real", "arithmetic mean of at least one number"),
    _reduce("var", "real -> pos", "sample variance (divisor n - 1) of at least two numbers"),
    _reduce("sd", "real -> pos", "sample standard deviation (divisor n - 1) of at least two numbers"),
    _reduce("minimum", "bit -> bit | nat -> nat | int -> int | prob -> prob | pos -> pos | real -> real", "smallest element, also min(xs)"),
    _reduce("maximum", "bit -> bit | nat -> nat | int -> int | prob -> prob | pos -> pos | real -> real", "largest element, also max(xs)"),
    _reduce("logsumexp", "real -> real", "log of the sum of exponentials"),
    _reduce("any", "bool -> bool", "whether some element holds"),
    _reduce("all", "bool -> bool", "whether every element holds"),
    _reduce("count", "bool -> nat", "how many elements hold"),
]  # fmt: skip

_ARRAYS = [
    _rule("index", "xs,i", "xs[i]: element i along the first dimension; i may be an array of indices"),
    _rule("slice", "xs,lo,hi", "xs[lo:hi] along the first dimension; ends are static", (1, 2)),
    _rule("columns", "xs,j", "xs[:, j]: index the second dimension"),
    _rule("columns_slice", "xs,lo,hi", "xs[:, lo:hi]: slice the second dimension; ends are static", (1, 2)),
    _rule("zip", "xs,...", "array of tuples; all lengths equal"),
    _rule("matmul", "a,b", "a @ b: matrix and vector products"),
    _plain("len", "xs", "([a]) -> nat | (text) -> nat | (map[k, v]) -> nat", "length of the first dimension, static; how many characters or keys"),
    _plain("range", "n", "(nat) -> [nat]", "0, 1, …, n - 1", (0,)),
    _plain("range_from", "lo,hi", "(int, int) -> [int]", "lo, …, hi - 1; also range(lo, hi)", (0, 1)),
    _plain("enumerate", "xs", "([a]) -> [(nat, a)]", "pairs of index and element"),
    _plain("concat", "xs,ys", "([a], [a]) -> [a]", "xs followed by ys"),
    _plain("reverse", "xs", "([a]) -> [a]", "last element first"),
    _plain("repeat", "x,n", "(a, nat) -> [a]", "n copies of x", (1,)),
    _plain("transpose", "xs", "([[a]]) -> [[a]]", "rows become columns"),
    _plain("flatten", "xs", "([[a]]) -> [a]", "row by row"),
    _plain("zeros", "n", "(nat) -> [bit]", "n zeros", (0,)),
    _plain("ones", "n", "(nat) -> [bit]", "n ones", (0,)),
    _plain("linspace", "lo,hi,n", "(real, real, nat) -> [real]", "n evenly spaced numbers, ends included", (2,)),
    _plain("cumsum", "xs", "([real]) -> [real]", "running sums"),
    _plain("cumprod", "xs", "([real]) -> [real]", "running products"),
    _plain("diff", "xs", "([real]) -> [real]", "differences of neighbours"),
    _plain("sort", "xs", "([real]) -> [real]", "ascending"),
    _plain("argmin", "xs", "([real]) -> nat", "index of the smallest element"),
    _plain("argmax", "xs", "([real]) -> nat", "index of the largest element"),
    _plain("softmax", "xs", "([real]) -> [prob]", "exponentials, normalised"),
    _plain("log_softmax", "xs", "([real]) -> [real]", "logarithm of softmax"),
    _plain("one_hot", "i,n", "(nat, nat) -> [bit]", "1 at index i", (1,)),
]  # fmt: skip

_TEXTS = [
    _plain("text", "x", "(a) -> text", "a number, truth value or text as it is written"),
    _plain("contains", "s,part", "(text, text) -> bool", "whether part occurs in s"),
    _plain("starts_with", "s,part", "(text, text) -> bool", "whether s begins with part"),
    _plain("ends_with", "s,part", "(text, text) -> bool", "whether s ends with part"),
    _plain("position", "s,part", "(text, text) -> nat", "where part first begins in s; len(s) if it does not occur"),
    _plain("split", "s,sep", "(text, text) -> [text]", "the parts of s between occurrences of sep; its characters if sep is empty"),
    _plain("join", "xs,sep", "([text], text) -> text", "the texts one after the other, sep between them"),
    _plain("chars", "s", "(text) -> [text]", "the characters, one a text"),
    _plain("upper", "s", "(text) -> text", "in capitals"),
    _plain("lower", "s", "(text) -> text", "in small letters"),
    _plain("strip", "s", "(text) -> text", "without white space at both ends"),
    _plain("replace", "s,old,new", "(text, text, text) -> text", "every occurrence of old replaced; s itself if old is empty"),
    _plain("is_int", "s", "(text) -> bool", "whether s is a whole number of at most 18 digits"),
    _plain("int_of", "s", "(text) -> int", "the whole number that s is; 0 if it is none (see parse_int)"),
    _plain("is_real", "s", "(text) -> bool", "whether s is a finite number"),
    _plain("real_of", "s", "(text) -> real", "the number that s is; 0 if it is none (see parse_real)"),
]  # fmt: skip

#: what operators of numbers do with texts, elementwise as well
ON_TEXTS = {
    "add": "text, text -> text",
    "lt": "text, text -> bool",
    "gt": "text, text -> bool",
    "le": "text, text -> bool",
    "ge": "text, text -> bool",
}

#: `k` in these is the type of keys, which must be comparable
_MAPS = [
    _plain("empty_map", "", "() -> map[k, v]", "the map without keys"),
    _plain("map_of", "pairs", "([(k, v)]) -> map[k, v]", "each key with its value; of equal keys the last counts"),
    _plain("get", "m,key,otherwise", "(map[k, v], k, v) -> v", "the value of a key, or otherwise (see lookup)"),
    _plain("value_at", "m,key", "(map[k, v], k) -> v", "the value of a key, which the map must have: m[key]"),
    _plain("has", "m,key", "(map[k, v], k) -> bool", "whether there is a value for the key"),
    _plain("put", "m,key,value", "(map[k, v], k, v) -> map[k, v]", "m with a value for the key, in place of its own if it has one"),
    _plain("remove", "m,key", "(map[k, v], k) -> map[k, v]", "m without the key"),
    _plain("keys", "m", "(map[k, v]) -> [k]", "the keys, sorted"),
    _plain("values", "m", "(map[k, v]) -> [v]", "the values, in the order of their keys"),
    _plain("items", "m", "(map[k, v]) -> [(k, v)]", "keys and values, in the order of the keys"),
    _plain("size", "m", "(map[k, v]) -> nat", "how many keys there are; also len(m)"),
]  # fmt: skip

#: rows that only the machine runs on values that are not known while compiling
TEXT_ROWS = frozenset(r.name for r in _TEXTS)
MAP_ROWS = frozenset(r.name for r in _MAPS)
#: rows whose type variable k must be comparable
KEYED = MAP_ROWS | {"mem", "gaussian_process"}

_LINEAR = [
    _plain("dot", "a,b", "([real], [real]) -> real", "inner product"),
    _plain("outer", "a,b", "([real], [real]) -> [[real]]", "outer product"),
    _plain("diag", "d", "([real]) -> [[real]]", "diagonal matrix"),
    _plain("diagonal", "a", "([[real]]) -> [real]", "diagonal of a square matrix"),
    _plain("identity", "n", "(nat) -> [[bit]]", "identity matrix", (0,)),
    _plain("add_diag", "a,d", "([[real]], real) -> [[real]]", "a with d added along the diagonal"),
    _plain("trace", "a", "([[real]]) -> real", "sum of the diagonal"),
    _plain("cholesky", "a", "([[real]]) -> [[real]]", "lower-triangular L with L L' = a, a positive definite"),
    _plain("solve", "a,b", "([[real]], [real]) -> [real]", "x with a x = b"),
    _plain("solve_triangular", "l,b", "([[real]], [real]) -> [real]", "x with l x = b, l lower triangular"),
    _plain("inverse", "a", "([[real]]) -> [[real]]", "matrix inverse"),
    _plain("log_det", "a", "([[real]]) -> real", "log |det a|"),
]  # fmt: skip

_HIGHER_ORDER = [
    _plain("ode", "rhs,y0,t0,ts,rtol=1e-6,atol=1e-6", "((real, a) -> a, a, real, [real], pos, pos) -> [a]",
           "states at increasing times ts > t0 of dy/dt = rhs(t, y), y(t0) = y0; non-stiff (Tsit5)"),
    _plain("ode_stiff", "rhs,y0,t0,ts,rtol=1e-6,atol=1e-6", "((real, a) -> a, a, real, [real], pos, pos) -> [a]",
           "as ode, for stiff systems (Kvaerno5)"),
    _plain("mem", "f", "(k -> measure[a]) -> measure[k -> a]", "a lazy random function: each value is drawn once, when asked"),
    _plain("gaussian_process", "mean,kernel", "(k -> real, (k, k) -> real) -> measure[k -> real]", "a random function, jointly normal at any inputs; each value is drawn when asked, given those before"),
    _plain("lazy", "m", "(measure[a]) -> measure[a]", "a draw that is made only if its value is used"),
    _plain("normalize", "m", "(measure[a]) -> dist[a]", "the measure divided by its mass, by running all its paths; `normalize(m, method)` says how"),
    _plain("normalize_importance", "m,n", "(measure[a], nat) -> measure[a]", "one of n executions of m, chosen by weight"),
    _plain("normalize_rejection", "m,tries=1000000", "(measure[a], nat) -> measure[a]", "the first execution of m that is accepted, among so many"),
    _plain("log_prob", "d,x", "(dist[a], a) -> real", "the log density (of discrete laws, the log probability) of d at x, as a value; `observe` scores it"),
    _plain("expectation", "d,f", "(dist[a], a -> real) -> real", "the mean of f(x) for x drawn from d, which has finitely many values"),
    _plain("checkpoint", "", "() -> real", "0: scored where the program says `checkpoint`, a suspension point"),
    _plain("score_if", "c", "(bool) -> real", "0 if c, else -infinity: what `condition` scores"),
]  # fmt: skip


#: their first parameter is a size
_SIZED = ("lkj_corr_cholesky", "lkj_corr", "zero_sum_normal", "flat_ordered", "flat_simplex", "iid")


def _dist(
    name: str,
    params: str,
    signature: str,
    support: str,
    doc: str,
    *,
    finite: bool = False,
    noise: Noise = None,
):
    names, defaults = _params(params)
    kind: Kind = "plain" if "(" in signature else "elementwise"
    static = (0,) if name in _SIZED else ()
    overloads = tuple(signature.split(" | "))
    return Distribution(name, kind, overloads, names, doc, defaults, static, support, finite, noise)


_CONTINUOUS = [
    _dist("normal", "mu,sigma", "real, pos -> real", "real", "normal, by standard deviation", noise="location-scale"),
    _dist("half_normal", "sigma", "pos -> pos", "positive", "|normal(0, sigma)|", noise="quantile"),
    _dist("lognormal", "mu,sigma", "real, pos -> pos", "positive", "exp of a normal", noise="quantile"),
    _dist("student_t", "nu,mu,sigma", "pos, real, pos -> real", "real", "Student's t", noise="location-scale"),
    _dist("half_student_t", "nu,sigma", "pos, pos -> pos", "positive", "|student_t(nu, 0, sigma)|", noise="quantile"),
    _dist("cauchy", "mu,sigma", "real, pos -> real", "real", "Cauchy", noise="location-scale"),
    _dist("half_cauchy", "sigma", "pos -> pos", "positive", "|cauchy(0, sigma)|", noise="quantile"),
    _dist("double_exponential", "mu,sigma", "real, pos -> real", "real", "Laplace", noise="location-scale"),
    _dist("asymmetric_laplace", "mu,sigma,kappa", "real, pos, pos -> real", "real", "asymmetric Laplace", noise="location-scale"),
    _dist("logistic", "mu,sigma", "real, pos -> real", "real", "logistic", noise="location-scale"),
    _dist("soft_laplace", "mu,sigma", "real, pos -> real", "real", "hyperbolic secant: a Laplace, smooth at its mode", noise="location-scale"),
    _dist("skew_normal", "xi,omega,alpha", "real, pos, real -> real", "real", "skew normal, skewed to the right where alpha > 0"),
    _dist("exp_mod_normal", "mu,sigma,lambda", "real, pos, pos -> real", "real", "sum of normal(mu, sigma) and exponential(lambda)"),
    _dist("gumbel", "mu,beta", "real, pos -> real", "real", "Gumbel (maxima)", noise="location-scale"),
    _dist("exponential", "rate", "pos -> pos", "positive", "exponential, by rate", noise="quantile"),
    _dist("gamma", "shape,rate", "pos, pos -> pos", "positive", "gamma, by rate"),
    _dist("inv_gamma", "shape,scale", "pos, pos -> pos", "positive", "inverse gamma"),
    _dist("chi_square", "nu", "pos -> pos", "positive", "chi-square"),
    _dist("inv_chi_square", "nu", "pos -> pos", "positive", "one over a chi-square"),
    _dist("scaled_inv_chi_square", "nu,s", "pos, pos -> pos", "positive", "nu s^2 over a chi-square"),
    _dist("weibull", "shape,scale", "pos, pos -> pos", "positive", "Weibull", noise="quantile"),
    _dist("frechet", "shape,scale", "pos, pos -> pos", "positive", "Frechet", noise="quantile"),
    _dist("rayleigh", "sigma", "pos -> pos", "positive", "Rayleigh", noise="quantile"),
    _dist("loglogistic", "alpha,beta", "pos, pos -> pos", "positive", "log-logistic, by median alpha and shape beta", noise="quantile"),
    _dist("pareto", "y_min,alpha", "pos, pos -> pos", "at_least(y_min)", "Pareto", noise="quantile"),
    _dist("gompertz", "shape,rate", "pos, pos -> pos", "positive", "Gompertz", noise="quantile"),
    _dist("levy", "mu,c", "real, pos -> real", "at_least(mu)", "Levy", noise="quantile"),
    _dist("log_uniform", "lo,hi", "pos, pos -> pos", "interval(lo,hi)", "uniform in the logarithm", noise="quantile"),
    _dist("beta", "a,b", "pos, pos -> prob", "unit_interval", "beta"),
    _dist("beta_proportion", "mu,kappa", "prob, pos -> prob", "unit_interval", "beta with mean mu and precision kappa"),
    _dist("kumaraswamy", "a,b", "pos, pos -> prob", "unit_interval", "Kumaraswamy", noise="quantile"),
    _dist("uniform", "lo,hi", "prob, prob -> prob | pos, real -> pos | real, real -> real", "interval(lo,hi)", "uniform on [lo, hi]", noise="quantile"),
    _dist("von_mises", "mu,kappa", "real, pos -> real", "circular", "von Mises, on [-pi, pi]"),
]  # fmt: skip

_DISCRETE = [
    _dist("bernoulli", "p", "prob -> bool", "bool", "true with probability p", finite=True, noise="gumbel-max"),
    _dist("bernoulli_logit", "l", "real -> bool", "bool", "true with probability sigmoid(l)", finite=True, noise="gumbel-max"),
    _dist("binomial", "n,p", "nat, prob -> nat", "up_to(n)", "successes in n trials", finite=True),
    _dist("binomial_logit", "n,l", "nat, real -> nat", "up_to(n)", "binomial, by log odds", finite=True),
    _dist("beta_binomial", "n,a,b", "nat, pos, pos -> nat", "up_to(n)", "binomial with a beta-distributed p", finite=True),
    _dist("discrete_uniform", "lo,hi", "int, int -> int", "int_interval(lo,hi)", "uniform on lo, …, hi", finite=True, noise="quantile"),
    _dist("hypergeometric", "n,a,b", "nat, nat, nat -> nat", "drawn(n,a,b)", "special ones among n drawn from a special and b others", finite=True),
    _dist("poisson", "rate", "pos -> nat", "nat", "Poisson"),
    _dist("poisson_log", "eta", "real -> nat", "nat", "Poisson, by the logarithm of its rate"),
    _dist("geometric", "p", "prob -> nat", "nat", "failures before the first success", noise="quantile"),
    _dist("neg_binomial", "alpha,beta", "pos, pos -> nat", "nat", "gamma(alpha, beta) mixture of Poissons"),
    _dist("neg_binomial_2", "mu,phi", "pos, pos -> nat", "nat", "negative binomial, mean mu and precision phi"),
    _dist("neg_binomial_2_log", "eta,phi", "real, pos -> nat", "nat", "neg_binomial_2, by the logarithm of its mean"),
    _dist("zero_inflated_poisson", "gate,rate", "prob, pos -> nat", "nat", "0 with probability gate, else Poisson"),
    _dist("zero_inflated_neg_binomial", "gate,mu,phi", "prob, pos, pos -> nat", "nat", "0 with probability gate, else neg_binomial_2"),
    _dist("categorical", "p", "([prob]) -> dist[nat]", "index(p)", "index drawn with the given probabilities", finite=True, noise="gumbel-max"),
    _dist("categorical_logit", "l", "([real]) -> dist[nat]", "index(l)", "index drawn with probabilities softmax(l)", finite=True, noise="gumbel-max"),
    _dist("ordered_logistic", "eta,cuts", "(real, [real]) -> dist[nat]", "index_cuts(cuts)", "ordered categories 0, …, len(cuts)", finite=True),
    _dist("ordered_probit", "eta,cuts", "(real, [real]) -> dist[nat]", "index_cuts(cuts)", "ordered categories, by a normal variable between cuts", finite=True),
]  # fmt: skip

_MULTIVARIATE = [
    _dist("multi_normal", "mu,sigma", "([real], [[real]]) -> dist[[real]]", "real_vector", "multivariate normal, by covariance", noise="location-scale"),
    _dist("multi_normal_prec", "mu,omega", "([real], [[real]]) -> dist[[real]]", "real_vector", "multivariate normal, by precision", noise="location-scale"),
    _dist("multi_normal_cholesky", "mu,l", "([real], [[real]]) -> dist[[real]]", "real_vector", "multivariate normal, by Cholesky factor", noise="location-scale"),
    _dist("multi_student_t", "nu,mu,l", "(pos, [real], [[real]]) -> dist[[real]]", "real_vector", "multivariate Student's t, by Cholesky factor of the scale"),
    _dist("dirichlet", "alpha", "([pos]) -> dist[[prob]]", "simplex", "Dirichlet"),
    _dist("multinomial", "n,p", "(nat, [prob]) -> dist[[nat]]", "counts(n)", "counts of n categorical draws"),
    _dist("dirichlet_multinomial", "n,alpha", "(nat, [pos]) -> dist[[nat]]", "counts(n)", "multinomial with Dirichlet-distributed p"),
    _dist("lkj_corr_cholesky", "n,eta", "(nat, pos) -> dist[[[real]]]", "corr_cholesky", "Cholesky factor of an LKJ correlation matrix"),
    _dist("lkj_corr", "n,eta", "(nat, pos) -> dist[[[real]]]", "corr_matrix", "LKJ correlation matrix"),
    _dist("wishart", "nu,s", "(pos, [[real]]) -> dist[[[real]]]", "cov_matrix", "Wishart, of mean nu s"),
    _dist("inv_wishart", "nu,s", "(pos, [[real]]) -> dist[[[real]]]", "cov_matrix", "inverse of a wishart(nu, inverse(s))"),
    _dist("zero_sum_normal", "n,sigma", "(nat, pos) -> dist[[real]]", "zero_sum", "n normals given that their sum is 0"),
]  # fmt: skip

_BASE_MEASURES = [
    _dist("flat", "lower=-inf,upper=inf", "(prob, prob) -> measure[prob] | (pos, real) -> measure[pos] | (real, real) -> measure[real]", "interval(lower,upper)", "Lebesgue measure between bounds"),
    _dist("flat_ordered", "n,lower=-inf,upper=inf", "(nat, pos, real) -> measure[[pos]] | (nat, real, real) -> measure[[real]]", "ordered(n,lower,upper)", "Lebesgue measure on increasing vectors between bounds"),
    _dist("flat_simplex", "n", "(nat) -> measure[[prob]]", "simplex", "Lebesgue measure on the simplex (its first n - 1 coordinates)"),
]  # fmt: skip

_COMBINATORS = [
    _dist("dirac", "x", "(a) -> dist[a]", "point(x)", "always x", finite=True, noise="quantile"),
    _dist("mixture", "w,ds", "([prob], [dist[a]]) -> dist[a]", "of(ds)", "draw an index with probabilities w, then from that component"),
    _dist("truncate", "d,lower=-inf,upper=inf", "(dist[nat], real, real) -> dist[nat] | (dist[int], real, real) -> dist[int] | (dist[prob], real, real) -> dist[prob] | (dist[pos], real, real) -> dist[pos] | (dist[real], pos, real) -> dist[pos] | (dist[real], real, real) -> dist[real]", "truncated(d,lower,upper)", "d given lower <= x <= upper, renormalised"),
    _dist("iid", "n,d", "(nat, dist[a]) -> dist[[a]] | (nat, measure[a]) -> measure[[a]]", "of(d)", "n independent draws; of a measure, a measure"),
    _dist("transform", "d,forward,backward", "(dist[real], real -> real, real -> real) -> dist[real]", "image(d,forward)", "law of forward(x), x ~ d; forward is increasing or decreasing, backward its inverse"),
]  # fmt: skip

PRIMITIVES: dict[str, Primitive] = {
    row.name: row
    for table in (
        _ARITHMETIC,
        _COMPARISON,
        _ELEMENTARY,
        _REDUCTION,
        _ARRAYS,
        _TEXTS,
        _MAPS,
        _LINEAR,
        _HIGHER_ORDER,
        _CONTINUOUS,
        _DISCRETE,
        _MULTIVARIATE,
        _BASE_MEASURES,
        _COMBINATORS,
    )
    for row in table
}

#: methods and properties of the opaque types; the first parameter is the object before the dot
METHODS: dict[str, Primitive] = {
    row.name: row
    for row in (
        _plain("lm.context", "lm,text", "(lm, text) -> context", "the state of a model after a prompt"),
        _plain("lm.next", "lm,context", "(lm, context) -> dist[token]", "the distribution of the next token"),
        _plain("context.push", "context,token", "(context, token) -> context", "the context with a token added"),
        _plain("context.text", "context", "(context) -> text", "the text so far, prompt excluded"),
        _plain("context.ended", "context", "(context) -> bool", "whether the last token ends the text"),
        _plain("context.length", "context", "(context) -> nat", "how many tokens were added"),
        _plain("token.text", "token", "(token) -> text", "the token's own text"),
    )
}  # fmt: skip
#: methods read without parentheses
PROPERTIES = frozenset({"context.text", "context.ended", "context.length", "token.text"})

#: other spellings, by name and (where it matters) number of arguments
ALIASES: dict[tuple[str, int | None], str] = {
    ("min", 1): "minimum",
    ("max", 1): "maximum",
    ("range", 2): "range_from",
    ("log_sum_exp", 1): "logsumexp",
    ("inv_logit", None): "sigmoid",
    ("expit", None): "sigmoid",
    ("laplace", None): "double_exponential",
    ("chi2", None): "chi_square",
    ("fabs", None): "abs",
    ("to_vector", None): "flatten",
    ("point", None): "dirac",
}

#: operators of the syntax, as primitives
OPERATORS: dict[str, str] = {
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "div",
    "//": "floordiv",
    "%": "mod",
    "^": "pow",
    "@": "matmul",
    "==": "eq",
    "!=": "ne",
    "<": "lt",
    ">": "gt",
    "<=": "le",
    ">=": "ge",
    "and": "and",
    "or": "or",
}

CONSTANTS: dict[str, float] = {"pi": pi, "e": e, "infinity": inf, "inf": inf}
#: what the elaborator inserts where a number changes kind, and what `as` compiles to
COERCIONS = ("to_real", "checked_nat", "checked_pos", "checked_prob", "checked_int", "checked_bool")
