"""Caption metrics, each in a module of its own, and what chance has to do with their differences.

BLEU, ROUGE-L and METEOR (exact+stem) are on the scale 0 to 100; CIDEr-D is the COCO evaluation's, 0
to 10 (.62 is a usual score). Candidates and references are lists of tokens that went through the
same tokenisation (`edgecap.data.coco_tokenise` for figures to compare with papers).
"""

from __future__ import annotations

from edgecap.metrics.bleu import (
    BleuJudge,
    CorpusBleu,
    SentenceMeanBleu1,
    UnigramJudge,
    corpus_bleu,
    sentence_mean_bleu1,
)
from edgecap.metrics.cider import CiderD, ConsensusJudge, DocumentFrequencies, cider_d
from edgecap.metrics.meteor import MeteorExactStem, meteor_exact_stem
from edgecap.metrics.metric import Metric, figure_of
from edgecap.metrics.resampling import paired_bootstrap_bleu4
from edgecap.metrics.rouge import RougeL, rouge_l
from edgecap.metrics.scorer import METRICS, CaptionScorer

__all__ = [
    "METRICS",
    "BleuJudge",
    "CaptionScorer",
    "CiderD",
    "ConsensusJudge",
    "CorpusBleu",
    "DocumentFrequencies",
    "MeteorExactStem",
    "Metric",
    "RougeL",
    "SentenceMeanBleu1",
    "UnigramJudge",
    "cider_d",
    "corpus_bleu",
    "figure_of",
    "meteor_exact_stem",
    "paired_bootstrap_bleu4",
    "rouge_l",
    "sentence_mean_bleu1",
]
