"""`python -m tests.verify.mutants` is `make mutants`."""

import sys

from tests.verify.mutants.run import main

sys.exit(main())
