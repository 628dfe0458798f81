"""`python -m tests.verify.suite` is `make verify`."""

import sys

from tests.verify.suite.run import main

sys.exit(main())
