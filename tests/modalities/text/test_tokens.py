"""How token ids are stored."""

from attnpred.modalities.text.reader import TextReader
from tests.data.made import make_text_source, text_config, text_data
from tests.models.made import CLASSES


def test_large_vocabularies_are_stored_wider(tmp_path, text_source, cache_dir, reader):
    from dataclasses import replace

    from tokenizers import Tokenizer

    big = Tokenizer.from_str(reader.vocabulary.tokenizer_json)
    big.add_tokens([f"extra{i}" for i in range(2**16)])
    wide = TextReader(
        reader.spec, replace(reader.vocabulary, tokenizer_json=big.to_str()), strip_html=False, truncate="head"
    )
    source = make_text_source(tmp_path / "s", rows={"test": ([f"extra{2**16 - 1}", "film"], [0, 1])})
    data = text_data(text_config(source, tmp_path / "c"), reader=wide, target_spec=CLASSES["text"])
    batch = next(iter(data.loader("test")))
    assert batch.input.tokens.max() == big.token_to_id(f"extra{2**16 - 1}") > 2**16
