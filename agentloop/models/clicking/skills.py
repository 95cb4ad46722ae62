"""Which skill a goal calls for, by its words."""

from __future__ import annotations

import re
from typing import NamedTuple

from agentloop.models.clicking import finding, forms, places
from agentloop.models.clicking.acting import Skill


class Known(NamedTuple):
    """A form of goals, and the skill that reaches them."""

    form: re.Pattern[str]
    skill: Skill


def _known(form: str, skill: Skill) -> Known:
    return Known(re.compile(form), skill)


SKILLS = (
    _known(r"Click button (\w+), then click button (\w+)\.", finding.press_in_turn),
    _known(r"Click button (\w+)\.", finding.press_named),
    _known(r"Click the button\.", finding.press_only),
    _known(r'Click on the "(.+)" button\.', finding.press_named),
    _known(r"Click the (cancel) button\.", finding.press_named),
    _known(r'Close the dialog box by clicking the "(.+)"\.', finding.press_in_dialog),
    _known(r'Click the button in the dialog box labeled "(.+)"\.', finding.press_in_dialog),
    _known(r"Click on (Tab #\d+)\.", finding.open_tab),
    _known(r'.*[Cc]lick on the link "(.+)"\.', finding.find_link),
    _known(r"Expand the section below and click submit\.", finding.expand),
    _known(r"Select (\S+)", finding.walk_menu),
    _known(r'Navigate through the file tree\. .* named "(.+)"\.', finding.walk_tree),
    _known(r"Find the email by (\S+) and click the (star|trash) icon .*", finding.mark_mail),
    _known(r"Find the email by (\S+) and forward that email to (\S+)\.", finding.forward_mail),
    _known(r'Find the email by (\S+) and reply to them with the text "(.+)"\.', finding.reply_to_mail),
    _known(r'For the user @(\w+), click on the "(Reply|Retweet|Like)" button\.', finding.react),
    _known(
        r'Click the "(\w+)" button on (\d+|all) posts? by @(\w+) and then click Submit\.',
        finding.react_to_some,
    ),
    _known(r'Enter "(.+)" into the text field and press Submit\.', forms.enter),
    _known(r'Type "(.+)" in all (upper|lower) case letters .*', forms.enter_in_case),
    _known(r'Enter the password "(.+)" into both text fields .*', forms.enter_twice),
    _known(r'Enter the username "(.+)" and the password "(.+)" into .*', forms.log_in),
    _known(r"Enter (\d\d)/(\d\d)/(\d{4}) as the date and hit submit\.", forms.enter_date),
    _known(r"Select (\d\d)/(\d\d)/(\d{4}) as the date and hit submit\.", forms.pick_date),
    _known(r"Focus into the (?:(\d\w\w) input )?textbox\.", forms.focus),
    _known(
        r'Check the (\d\w\w) radio button and enter the number "(.+)" into the (\d\w\w) textbox\.',
        forms.radio_and_text,
    ),
    _known(r'Scroll to the bottom of the textarea, enter the name "(.+)" then press "(.+)"', forms.sign),
    _known(r"Mark the numbers below as odd or even .*", forms.odd_or_even),
    _known(r"Solve the math problem and type your answer .*", forms.arithmetic),
    _known(r"Enter the value of (.+) into the text field and press Submit\.", forms.look_up),
    _known(r"Find the (\d+\w\w) word in the paragraph, .*", forms.find_word),
    _known(r"Select (.+) from the (?:scroll )?list and click Submit\.", forms.choose),
    _known(r"Select (.+) and click Submit\.", forms.check),
    _known(r"Find and click on the (?:center of the circle|shortest mid-point) ?.*", places.centre),
    _known(r"Click on the numbers in ascending order\.", places.in_order),
    _known(r"Click on the grid coordinate \((-?\d+),(-?\d+)\)\.", places.on_the_grid),
    _known(r"Click on the (\w+) colored box\.", places.coloured),
    _known(r"Resize the textarea so that the (width|height) is (larger|smaller) than .*", places.resize),
)
"""Forms of goals; the first that fits a goal counts."""
