"""Protocol files of studies."""

import pytest

from theval_datasets.curation.study.protocol import StudyProtocol, read_protocol
from theval_datasets.errors import InputError


def written(tmp_path, text):
    path = tmp_path / "protocol.yaml"
    path.write_text(text)
    return path


def test_a_protocol_is_read(tmp_path):
    text = (
        "scale: [1, 5]\nmissing_codes: [-1, 99]\nsubjects: 40 students\n"
        "forbidden_uses: [identification, surveillance]\n"
    )
    protocol = read_protocol(written(tmp_path, text))
    assert protocol.scale == (1, 5)
    assert protocol.missing_codes == (-1, 99)
    assert protocol.facts() == {
        "subjects": "40 students",
        "forbidden_uses": "identification; surveillance",
    }


def test_without_a_file_nothing_is_stated():
    assert read_protocol(None) == StudyProtocol()
    assert read_protocol(None).facts() == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scale: [5, 1]", "lower end first"),
        ("scale: [1, 1]", "lower end first"),
        ("scael: [1, 5]", "scale"),
        ("subjects: [a]", "subjects"),
        ("a: [", "is not YAML"),
    ],
)
def test_faults_are_named(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_protocol(written(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="there is no protocol"):
        read_protocol(tmp_path / "none.yaml")
