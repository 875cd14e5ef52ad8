from tests.data.conftest import _no_root, cache_dir, image_source, reader, text_source  # noqa: F401
