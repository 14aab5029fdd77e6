"""text.*: prompts as ComfyUI cuts them into chunks of weighted tokens, and their conditioning.

With TRANSFORMERS4_DIR (a folder with transformers 4 installed) the word splits that
differ between transformers 4 and 5 are listed too.
"""

import json
import os
import subprocess
import sys

from common import arguments, write
from rule import fill, weight

options = arguments()

import torch  # noqa: E402
import comfy.sd1_clip  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

EMBEDDINGS = options.out / "embeddings"
FILES = {
    "tiny.safetensors": ("emb_params", [2, 64]),
    "style/dots.safetensors": ("clip_l", [3, 64]),
    "single.safetensors": ("anything", [64]),
    "long.safetensors": ("emb_params", [10, 64]),
    "wide.safetensors": ("emb_params", [1, 96]),
}

PROMPTS = [
    "",
    " ",
    "a cat",
    "A  Cat,\n\ton a   MAT!",
    "a (cat) on a mat",
    "a ((cat)) on a (((mat)))",
    "a (cat:1.2) on a (mat:0.5)",
    "a (cat :1.2)",
    "a (cat: 1.2 )",
    "(a (red:1.3) cat:0.8) sits",
    "(a (red) cat) sits",
    "(cat:-1) (dog:0) (bird:1e1) (fish:.5)",
    "(cat:nan) dog",
    "(cat:inf) dog",
    "(cat:1_0) dog",
    "(cat:big) (:1.5) (:) () dog",
    "(cat:1.2:1.4) dog",
    "https://example.org:8080/(x:1.1)",
    "a \\(cat\\) on \\(a (mat:1.1)\\)",
    "(a cat \\(real\\):1.3)",
    "back\\slash \\\\(cat\\\\) \\",
    "a (cat on a mat",
    "a cat) on a mat",
    "a cat)) (on a (mat) too",
    ")(",
    "[cat] <dog> {bird|fish}",
    "[no special] AND BREAK a cat BREAK a dog",
    "caf\u00e9 na\u00efve \u00dcn\u00efc\u00f6de \u00c5NGSTR\u00d6M",
    "e\u0301migre\u0301",
    "\u732b cat \u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8",
    "\u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440, \ud55c\uad6d\uc5b4",
    "\U0001f600 smile (\U0001f469\u200d\U0001f469\u200d\U0001f467:1.2)",
    "\u2026\u2014\u201cquotes\u201d \u00bd \u2122 \uff26\uff35\uff2c\uff2c",
    "\u0130stanbul stra\u00dfe \ufb01sh",
    "\u200bzero\u00a0width\u2028line",
    "&lt;b&gt; &amp; <b>bold</b>",
    "don't can't it's we'll I'd they've he's CAN'T 'twas",
    "1234567890 3.14 x2 mk3 50mm f/1.8 8k",
    "#@!$%^&*_+=~`|",
    "<|startoftext|> a <|endoftext|> b",
    "cat,,,,, dog,  ,bird,",
    "supercalifragilisticexpialidocious",
    "embedding:tiny",
    "a embedding:tiny, on a mat",
    "a embedding:tiny,on a mat",
    "a embedding:tiny on (embedding:style/dots:1.3) there",
    "(embedding:tiny:0.7), (a embedding:tiny b)",
    "aembedding:tiny embedding:missing cat, embedding:tiny.safetensors",
    "embedding:single embedding:../embeddings/tiny embedding:wide cat",
    "embedding:tiny[x] embedding:tiny<y> Embedding:tiny embedding: tiny",
    "embedding:tiny,embedding:tiny\nembedding:tiny",
    ", ".join(["cat"] * 37) + ", x",
    ", ".join(["cat"] * 40),
    "cat " * 75,
    "cat " * 76,
    "cat " * 74 + "supercalifragilistic end",
    "cat " * 70 + "llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch end",
    "cat " * 70 + "embedding:long end",
    "cat " * 73 + "embedding:tiny embedding:tiny end",
    "(cat " * 1 + "cat " * 100 + ":1.2) (dog " + "dog " * 60 + ":0.9)",
]
CONDITIONED = [
    ("", None), ("a red circle on a blue background", None),
    ("a (red:1.3) circle on a (blue:0.6) background", None),
    ("a (red:1.3) circle on a (blue:0.6) background", -2),
    ("(cat:0) (dog:-1)", None), ("a embedding:tiny, on (embedding:style/dots:1.3)", None),
    ("embedding:wide a cat", None), ("cat " * 70 + "(dog:1.5) bird " + "fish " * 20, -2),
]

SPLITS = ["a cat", *[p for p in PROMPTS if not p.isascii()], "a\u0000b\u0007c", "\ufffd", "\ufdfa",
          "\U0001f3f3\ufe0f\u200d\U0001f308flag", "\u0939\u093f\u0928\u094d\u0926\u0940"]


def embeddings():
    """Small embedding files, filled by rule: name 'embedding.<file>', scale 0.5."""
    for file, (key, shape) in FILES.items():
        path = EMBEDDINGS / file
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({key: fill(f"embedding.{file}", shape, 0.5)}, path)
        path.chmod(0o644)


def chunks(tokenizer, prompt):
    """Token ids and weights; an embedding's vector is written [file, row]."""
    vectors = {}
    for file, (_, shape) in FILES.items():
        for row, value in enumerate(fill(f"embedding.{file}", shape, 0.5).reshape(-1, shape[-1])):
            vectors[value.numpy().tobytes()] = f"{file}#{row}"
    result = []
    for chunk in tokenizer.tokenize_with_weights(prompt)["l"]:
        tokens = [t if isinstance(t, int) else vectors[t.numpy().tobytes()] for t, _ in chunk]
        weights = [w for _, w in chunk]
        while len(tokens) > 2 and tokens[-2:] == [49407, 49407] and weights[-1] == 1:
            tokens.pop()
            weights.pop()
        plain = all(w == 1 for w in weights)
        weights = [w if w == w and abs(w) != float("inf") else str(w) for w in weights]
        result.append({"tokens": tokens, "length": len(chunk),
                       **({} if plain else {"weights": weights})})
    return result


def splits():
    """Ids of unusual words, by transformers 5 and, where it differs, by transformers 4."""
    folder = os.path.join(os.path.dirname(comfy.sd1_clip.__file__), "sd1_tokenizer")
    script = (
        "import sys, json, transformers\n"
        f"t = transformers.CLIPTokenizer.from_pretrained({folder!r})\n"
        "words = json.load(sys.stdin)\n"
        "print(json.dumps([transformers.__version__, [t(w)['input_ids'][1:-1] for w in words]]))"
    )

    def run(path):
        environment = {**os.environ, **({"PYTHONPATH": path} if path else {})}
        answer = subprocess.run([sys.executable, "-c", script], input=json.dumps(SPLITS),
                                capture_output=True, text=True, env=environment, check=True)
        return json.loads(answer.stdout)

    version, now = run(None)
    old_version, before = run(os.environ.get("TRANSFORMERS4_DIR"))
    found = []
    for word, a, b in zip(SPLITS, now, before):
        found.append({"text": word, "ids": a, **({"ids_transformers_4": b} if a != b else {})})
    return {"transformers": version, "transformers_4": old_version, "splits": found}


embeddings()
tokenizer = comfy.sd1_clip.SD1Tokenizer(embedding_directory=str(EMBEDDINGS))
cases, tensors = [], {}
for prompt in PROMPTS:
    cases.append({"kind": "tokens", "prompt": prompt, "chunks": chunks(tokenizer, prompt)})

config = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=1, intermediate_size=256)
clip = comfy.sd1_clip.SD1ClipModel(dtype=torch.float32,
                                   model_options={"clip_l_model_config": config})
state = {
    name: weight("cond_stage_model." + name, value.shape)
    for name, value in clip.clip_l.state_dict().items()
}
clip.clip_l.load_state_dict(state)
for index, (prompt, stop) in enumerate(CONDITIONED):
    clip.reset_clip_options()
    clip.set_clip_options({"layer": stop})
    cond, pooled = clip.encode_token_weights(tokenizer.tokenize_with_weights(prompt))
    tensors[f"cond.{index}"], tensors[f"pooled.{index}"] = cond, pooled
    cases.append({"kind": "conditioning", "prompt": prompt, "stop_at_clip_layer": stop,
                  "chunks": chunks(tokenizer, prompt), "cond": f"cond.{index}",
                  "pooled": f"pooled.{index}"})

about = {
    "chunks": "tokens end with the first end token: the rest of `length` is 49407 with weight 1."
    " 'file#row' is a vector of an embedding file. weights are absent where all are 1;"
    " 'nan' and 'inf' are text",
    "conditioning": "text.two-layers of networks.json (the same weights by the same rule) on the"
    " prompt; a weight w moves a token's row: (row - empty) * w + empty, where empty is that row"
    " of the empty prompt, computed only if some weight is not 1; chunks are laid end to end;"
    " pooled is the first chunk's, unweighted",
    "embeddings": {file: {"key": key, "shape": shape} for file, (key, shape) in FILES.items()},
    "word_splits": splits(),
    "note": "an embedding of another width than the text model's is left out with a warning and"
    " the sequence is filled with end tokens at its end",
}
write(options, "text", about, cases, tensors)
