"""Bugs that shipped in real systems, planted one at a time: `make mutants`.

A mutant is an entry of `table.MUTANTS`: what is planted, the contract that it breaks, a program on
which it shows, and, where any will do, the programs to look for it among. `table.EQUIVALENT` has
mutants in settings in which they change nothing, which must pass.
"""
