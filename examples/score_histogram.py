"""
Scores, the threshold, and the reason for every row
===================================================

Why did this row go? ``explain()`` returns a table with the score, rank, threshold and reason of every row.
The pool is film-review snippets (1 MB, fetched once) with some junk added. Runs in ten seconds.
"""

import matplotlib.pyplot as plt
import numpy as np

from skprune import PerplexityFilter
from skprune.datasets import load_movie_snippets

reviews = load_movie_snippets().data
junk = [
    "CLICK HERE >>> http://x.example/?id=99182 <<< $$$ !!!",
    "asdf jkl; qwer uiop zxcv",
    "0x7f 0x45 0x4c 0x46 0x02 0x01",
    "<td><td><td>&nbsp;</td></td></td>",
]
texts = [*reviews, *junk]

# %%
# The filter trains a 5-gram model on the pool and keeps the half that is least surprising.

pruner = PerplexityFilter(keep=0.5, random_state=0).fit(texts)
table = pruner.explain()
table["text"] = texts
print(table.drop(columns="text").head(3).to_string())

# %%
# The threshold is the score of the last row that was kept.

scores = table["log10_perplexity"]
threshold = table["threshold"].iloc[0]
bins = np.linspace(scores.quantile(0.001), scores.max(), 70)
plt.figure(figsize=(8, 4), layout="constrained")
plt.hist(scores[table["kept"]], bins, label="kept", color="tab:blue")
plt.hist(scores[~table["kept"]], bins, label="dropped", color="0.75")
plt.axvline(threshold, color="black", linewidth=1, label=f"threshold, {threshold:.2f}")
for text in junk:
    score = table.loc[table["text"] == text, "log10_perplexity"].item()
    plt.axvline(score, 0, 0.06, color="tab:red", linewidth=3, label="added junk" if text == junk[0] else None)
plt.xlabel("log10 perplexity per token")
plt.ylabel("texts")
plt.legend(frameon=False)
plt.show()

# %%
# The least and the most surprising texts. Read both ends of your own pool before you trust a threshold: the
# most surprising rows may be junk, or they may be the rare class that you are looking for.

ordered = table.sort_values("log10_perplexity")
for title, rows in [("least surprising", ordered.head(4)), ("most surprising", ordered.tail(6))]:
    print(title)
    for score, reason, text in zip(rows["log10_perplexity"], rows["reason"], rows["text"], strict=True):
        print(f"  {score:.2f}  {reason:<22}  {text[:60]}")
