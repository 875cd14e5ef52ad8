from tests.models.conftest import _bert_is_tiny, encoder  # noqa: F401
