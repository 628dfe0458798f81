"""Independent answers: closed forms and hand-written densities that tests compare the system with."""
