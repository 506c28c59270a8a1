"""Register the plugin, so that the suites run from a checkout as from an installed package."""

pytest_plugins = ["tunegate.harness.session.pytest_plugin.plugin"]
