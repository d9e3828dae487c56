"""A version's baseline is made once, and is what clients depend on."""

from __future__ import annotations

import os
from pathlib import Path

from apitool import baseline
from google.protobuf import descriptor_pb2

from jobworker import daemon


def test_it_is_made_once(tmp_path: Path) -> None:
    """What was released does not change: a second one of the same version is refused, and the first one stays."""
    arguments = [os.environ["DESCRIPTOR_SET"], str(tmp_path)]
    assert baseline.main(arguments) == 0
    made = (tmp_path / f"{daemon.__version__}.binpb").read_bytes()
    assert baseline.main([*arguments, daemon.__version__]) == 1
    assert baseline.main([*arguments, "9.9.9"]) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        f"{daemon.__version__}.binpb": made,
        "9.9.9.binpb": made,
    }


def test_it_is_the_api_without_its_comments() -> None:
    """Comments may change in a released version; what is left of the set does not depend on them."""
    content = Path(os.environ["DESCRIPTOR_SET"]).read_bytes()
    kept = descriptor_pb2.FileDescriptorSet.FromString(baseline.without_comments(content))
    assert not any(file.HasField("source_code_info") for file in kept.file)
    whole = descriptor_pb2.FileDescriptorSet.FromString(content)
    assert [file.service for file in kept.file] == [file.service for file in whole.file]
    assert [file.message_type for file in kept.file] == [file.message_type for file in whole.file]
