"""Production inputs without expectations: frozen snapshots, and what people say of outputs that differ on them."""
