"""From text to a typed program: grammar, syntax tree, names, types, diagnostics."""
