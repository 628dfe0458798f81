"""`python -m ppl.cli` is `ppl`."""

from ppl.cli import main

main(prog_name="ppl")
