"""An adapter that was trained elsewhere becomes one that the gate and a release accept."""
