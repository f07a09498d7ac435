"""What the issue of demo__confet-11 says, as tests: `$${` is a literal `${` anywhere in a value."""

from confet import loads

TEXT = """\
[job]
user = ana
command = run --home $${HOME} --as ${user}
other = ${command}
price = 5$$ or more
"""


def test_the_command_of_the_issue():
    assert loads(TEXT).raw("job.command") == "run --home ${HOME} --as ana"


def test_value_reached_through_a_reference():
    assert loads(TEXT).raw("job.other") == "run --home ${HOME} --as ana"


def test_other_names_and_several_in_one_value():
    text = "[job]\nuser = ana\ncommand = $${TMP}/${user}/$${user}\n"
    assert loads(text).raw("job.command") == "${TMP}/ana/${user}"


def test_value_reached_from_another_section():
    text = "[job]\ncommand = $${A} here\n[far]\nother = it is ${job.command}\n"
    assert loads(text).raw("far.other") == "it is ${A} here"


def test_double_dollar_without_a_brace_stays():
    assert loads("[job]\nprice = 5$$ or more\n").raw("job.price") == "5$$ or more"
