"""
Scores, the threshold, and the reason for every row
===================================================

Why did this row go? ``explain()`` returns a table with the score, rank, threshold and reason of every row.
The pool is film-review snippets (1 MB, fetched once) with some junk added. Runs in ten seconds.
"""

import matplotlib.pyplot as plt

from skprune import PerplexityFilter
from skprune.datasets import load_movie_snippets
from skprune.plotting import ScoreHistogramDisplay

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
# The threshold is the score of the last row that was kept. Half of the junk is on the wrong side of it: what
# repeats itself is easy to predict.

display = ScoreHistogramDisplay.from_estimator(pruner)
for text in junk:
    score = table.loc[table["text"] == text, "log10_perplexity"].item()
    label = "added junk" if text == junk[0] else None
    display.ax_.axvline(score, 0, 0.06, color="tab:red", linewidth=3, label=label)
display.ax_.legend()
plt.show()

# %%
# The least and the most surprising texts. Read both ends of your own pool before you trust a threshold:
# here the most surprising texts are short ones, not junk.

ordered = table.sort_values("log10_perplexity")
for title, rows in [("least surprising", ordered.head(4)), ("most surprising", ordered.tail(6))]:
    print(title)
    for row in rows.itertuples():
        print(f"  {row.log10_perplexity:.2f}  {row.reason:<22}  {row.text[:60]}")
