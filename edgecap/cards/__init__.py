"""Model cards: what a captioner's record says, and what somebody wrote beside it, as Markdown."""

from __future__ import annotations

from edgecap.cards.page import CARD, NOTES, card_page, write_card

__all__ = ["CARD", "NOTES", "card_page", "write_card"]
