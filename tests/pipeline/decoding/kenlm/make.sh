#!/usr/bin/env bash
# Makes the reference of test_kenlm.py anew: KenLM's models of train.txt and their perplexities
# of held.txt. lmplz and query of KenLM must be on the path. Run on 2026-11-21 with KenLM 0.3.0
# (the source package on PyPI), g++ 12.
set -euo pipefail
cd "$(dirname "$0")"
for order in 2 3; do
  lmplz -o "$order" --discount_fallback -S 200M --text train.txt --arpa "$order.arpa"
  query -v summary "$order.arpa" <held.txt
done
