"""Traffic beside cases: which inputs have no case near, which cases no traffic, and how two snapshots differ."""
