"""An app whose import fails as a mistake does."""

import a_module_that_nobody_has  # noqa: F401
