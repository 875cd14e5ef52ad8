from scripts import memory


def row(model, batch, taken):
    return {"model": model, "data": "digits", "batch": batch, "precision": "32-true", "said": 1.0, "taken": taken}


def test_rows_that_were_not_measured_again_are_kept_in_the_order_of_kinds():
    before = [row("transformer", 64, 1.1), row("resnet_attention", 64, 1.2), row("no_longer_there", 64, 1.3)]
    again = [row("transformer", 64, 0.8), row("transformer", 512, 2.0)]
    assert memory.merged(before, again) == [row("resnet_attention", 64, 1.2), *again]


def test_the_table_says_how_far_the_worst_is_off():
    told = memory.table([row("transformer", 64, 0.8), row("resnet_attention", 64, 1.1)])
    assert "| transformer | digits | 64 | 32-true | 1.00 | 0.80 | +25 % |" in told
    assert "2 runs of a few steps, one seed each; the worst is 25 % off." in told
