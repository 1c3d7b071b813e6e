//! Which files make up a base model or an adapter.

use std::collections::BTreeSet;

/// The folder of chat templates besides the default one, each a `.jinja` file.
pub const TEMPLATES: &str = "additional_chat_templates";

/// What a repository is read as, and so which of its files are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// `config.json`, the tokenizer with its chat templates, and the weights: `model.safetensors`, or else the shards that
    /// `model.safetensors.index.json` names.
    Base,
    /// `adapter_config.json`, `adapter_model.safetensors`, and what the adapter has of a tokenizer of its own; or, where
    /// there is no such config, a whole model.
    Adapter,
    /// A sentence-embedding model: as a base, with what sentence-transformers keeps around it.
    Embedder,
}

/// The files that make up a base model or an adapter.
pub struct Layout {
    config: &'static str,
    /// Besides config and weights.
    required: &'static [&'static str],
    optional: &'static [&'static str],
    pub weights: &'static str,
    index: Option<&'static str>,
    pickles: &'static [&'static str],
    /// Its presence, where `config` is missing, shows a repository of the other kind.
    config_of_the_other: &'static str,
    hint_for_the_other: &'static str,
}

const BASE: Layout = Layout {
    config: "config.json",
    required: &["tokenizer.json"],
    optional: &[
        "generation_config.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "chat_template.jinja",
        "chat_template.json",
    ],
    weights: "model.safetensors",
    index: Some("model.safetensors.index.json"),
    pickles: &["pytorch_model.bin", "pytorch_model.bin.index.json"],
    config_of_the_other: "adapter_config.json",
    hint_for_the_other: "this is a peft adapter; give it as the adapter, and the model it was trained on as the base",
};

const ADAPTER: Layout = Layout {
    config: "adapter_config.json",
    required: &[],
    optional: &[
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "chat_template.jinja",
        "chat_template.json",
    ],
    weights: "adapter_model.safetensors",
    index: None,
    pickles: &["adapter_model.bin"],
    config_of_the_other: "config.json",
    hint_for_the_other: "",
};

/// A whole model that is compared with its base, whose tokenizer is read where it has none.
const WHOLE: Layout = Layout {
    required: &[],
    optional: &[
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "chat_template.jinja",
        "chat_template.json",
    ],
    ..BASE
};

/// A sentence-embedding model. What its modules keep in folders of their own is told by [`is_module`].
const EMBEDDER: Layout = Layout {
    optional: &["modules.json", "sentence_bert_config.json", "config_sentence_transformers.json", "tokenizer_config.json"],
    hint_for_the_other: "this is a peft adapter, and an embedder is a model of its own",
    ..BASE
};

/// What a listing lacks to be a base model or an adapter.
#[derive(Debug, PartialEq, Eq)]
pub enum Lack {
    /// And a hint.
    File(&'static str, &'static str),
    /// Only this pickle holds the weights.
    Pickle(&'static str),
}

/// Files to fetch; where the weights are sharded, the index is among them and names the shards.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    pub files: Vec<String>,
    pub index: Option<&'static str>,
}

impl Wanted {
    pub fn layout(self) -> &'static Layout {
        match self {
            Self::Base => &BASE,
            Self::Adapter => &ADAPTER,
            Self::Embedder => &EMBEDDER,
        }
    }

    /// As [`layout`](Self::layout), by what is there.
    fn layout_of(self, listing: &BTreeSet<String>) -> &'static Layout {
        let whole = self == Self::Adapter && !listing.contains(ADAPTER.config) && listing.contains(WHOLE.config);
        if whole { &WHOLE } else { self.layout() }
    }

    /// The index of sharded weights, where the listing has them and not the whole.
    pub fn index(self, listing: &BTreeSet<String>) -> Option<&'static str> {
        let layout = self.layout_of(listing);
        layout.index.filter(|&index| listing.contains(index) && !listing.contains(layout.weights))
    }

    /// All that is missing.
    pub fn lacks(self, listing: &BTreeSet<String>) -> Vec<Lack> {
        let has = |file: &str| listing.contains(file);
        let layout = self.layout_of(listing);
        let mut lacks = Vec::new();
        if !has(layout.config) {
            let hint = if has(layout.config_of_the_other) {
                layout.hint_for_the_other
            } else {
                "a model is read from safetensors beside its config; other formats, such as gguf, are not"
            };
            lacks.push(Lack::File(layout.config, hint));
        }
        if !has(layout.weights) && self.index(listing).is_none() {
            lacks.push(match layout.pickles.iter().find(|pickle| has(pickle)) {
                Some(pickle) => Lack::Pickle(pickle),
                None => Lack::File(layout.weights, "the weights must be safetensors; other formats, such as gguf, are not read"),
            });
        }
        let hint = "a fast tokenizer is needed; make one with `AutoTokenizer.from_pretrained(id).save_pretrained(folder)`";
        lacks.extend(layout.required.iter().filter(|file| !has(file)).map(|file| Lack::File(file, hint)));
        lacks
    }

    /// The small files come first: what is wrong with them is known before the weights are fetched.
    pub fn plan(self, listing: &BTreeSet<String>) -> Result<Plan, Lack> {
        if let Some(lack) = self.lacks(listing).into_iter().next() {
            return Err(lack);
        }
        let layout = self.layout_of(listing);
        let index = self.index(listing);
        let optional = layout.optional.iter().filter(|&&file| listing.contains(file));
        let is_beside = if self == Self::Embedder { is_module } else { is_template };
        let beside = listing.iter().filter(|file| is_beside(file)).cloned();
        let small = [&layout.config].into_iter().chain(layout.required).chain(optional).map(|&file| file.to_owned());
        let weights = index.unwrap_or(layout.weights).to_owned();
        Ok(Plan { files: small.chain(beside).chain([weights]).collect(), index })
    }
}

/// Directly in the folder: anything else could point out of the snapshot.
fn is_template(file: &str) -> bool {
    let name = file.strip_prefix(TEMPLATES).and_then(|rest| rest.strip_prefix('/'));
    name.is_some_and(|name| {
        name.strip_suffix(".jinja").is_some_and(|stem| !stem.is_empty())
            && !name.starts_with('.')
            && !name.contains(['/', '\\', ':'])
            && !name.contains(char::is_control)
    })
}

/// `1_Pooling/config.json`, and what else sentence-transformers numbers so.
fn is_module(file: &str) -> bool {
    let Some((folder, "config.json")) = file.split_once('/') else { return false };
    let Some((number, name)) = folder.split_once('_') else { return false };
    !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) && ["Pooling", "Normalize"].contains(&name)
}

/// The file names in an index's `weight_map`, each once.
pub fn shards(index: &[u8]) -> Result<BTreeSet<String>, String> {
    let json: serde_json::Value = serde_json::from_slice(index).map_err(|e| format!("it is not json: {e}"))?;
    let map = json.get("weight_map").and_then(|map| map.as_object()).ok_or("it has no `weight_map`")?;
    let names: Result<BTreeSet<String>, String> = map
        .iter()
        .map(|(tensor, file)| {
            let name = file.as_str().ok_or_else(|| format!("`weight_map` names no file for `{tensor}`"))?;
            // A bare file name: anything else could point out of the snapshot's folder.
            let bare = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) && !name.starts_with('.');
            if bare && name.ends_with(".safetensors") {
                Ok(name.to_owned())
            } else {
                Err(format!("`weight_map` names `{name}`, which is not a safetensors file beside it"))
            }
        })
        .collect();
    names.and_then(|names| if names.is_empty() { Err("its `weight_map` is empty".to_owned()) } else { Ok(names) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(files: &[&str]) -> BTreeSet<String> {
        files.iter().map(|&file| file.to_owned()).collect()
    }

    #[test]
    fn whole_weights_are_preferred_to_shards_and_nothing_else_is_fetched() {
        let all = listing(&[
            "README.md",
            "config.json",
            "model-00001-of-00001.safetensors",
            "model.gguf",
            "model.safetensors",
            "model.safetensors.index.json",
            "onnx",
            "pytorch_model.bin",
            "tokenizer.json",
            "tokenizer_config.json",
        ]);
        let files = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"].map(str::to_owned).to_vec();
        assert_eq!(Wanted::Base.plan(&all), Ok(Plan { files, index: None }));
    }

    #[test]
    fn a_repository_of_the_other_kind_is_told_by_its_config() {
        let adapter = listing(&["adapter_config.json", "adapter_model.safetensors"]);
        assert_eq!(Wanted::Base.plan(&adapter), Err(Lack::File("config.json", BASE.hint_for_the_other)));
        let base = listing(&["config.json", "model.safetensors"]);
        let files = ["config.json", "model.safetensors"].map(str::to_owned).to_vec();
        assert_eq!(Wanted::Adapter.plan(&base), Ok(Plan { files, index: None }), "a whole model, to be compared with its base");
    }

    #[test]
    fn chat_templates_come_from_their_folder_only() {
        let mut files = listing(&["config.json", "model.safetensors", "tokenizer.json"]);
        files.extend(listing(&[
            "additional_chat_templates/rag.jinja",
            "additional_chat_templates/tool use.jinja",
            "additional_chat_templates/../../x.jinja",
            "additional_chat_templates/..\\x.jinja",
            "additional_chat_templates/.jinja",
            "additional_chat_templates/a/b.jinja",
            "additional_chat_templates/notes.md",
            "additional_chat_templates_old/x.jinja",
            "chat_template.jinja",
            "chat_template.json",
            "generation_config.json",
            "special_tokens_map.json",
            "vocab.json",
        ]));
        let plan = Wanted::Base.plan(&files).expect("a plan");
        assert_eq!(
            plan.files,
            [
                "config.json",
                "tokenizer.json",
                "generation_config.json",
                "special_tokens_map.json",
                "chat_template.jinja",
                "chat_template.json",
                "additional_chat_templates/rag.jinja",
                "additional_chat_templates/tool use.jinja",
                "model.safetensors",
            ]
        );
        files.extend(listing(&["adapter_config.json", "adapter_model.safetensors"]));
        let plan = Wanted::Adapter.plan(&files).expect("a plan");
        assert_eq!(
            plan.files,
            [
                "adapter_config.json",
                "tokenizer.json",
                "special_tokens_map.json",
                "chat_template.jinja",
                "chat_template.json",
                "additional_chat_templates/rag.jinja",
                "additional_chat_templates/tool use.jinja",
                "adapter_model.safetensors",
            ]
        );
    }

    #[test]
    fn of_an_embedder_the_configs_of_its_modules_are_fetched_and_nothing_from_elsewhere() {
        let all = listing(&[
            "1_Pooling/config.json",
            "2_Dense/config.json",
            "2_Dense/model.safetensors",
            "2_Normalize/config.json",
            "README.md",
            "../1_Pooling/config.json",
            "additional_chat_templates/rag.jinja",
            "config.json",
            "config_sentence_transformers.json",
            "generation_config.json",
            "model.safetensors",
            "modules.json",
            "onnx/config.json",
            "pytorch_model.bin",
            "sentence_bert_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
        ]);
        let files = [
            "config.json",
            "tokenizer.json",
            "modules.json",
            "sentence_bert_config.json",
            "config_sentence_transformers.json",
            "tokenizer_config.json",
            "1_Pooling/config.json",
            "2_Normalize/config.json",
            "model.safetensors",
        ];
        assert_eq!(Wanted::Embedder.plan(&all).expect("a plan").files, files);
    }

    #[test]
    fn all_that_is_missing_is_told_and_the_first_decides() {
        let none = listing(&[]);
        let names = |wanted: Wanted| -> Vec<&str> {
            wanted
                .lacks(&none)
                .iter()
                .map(|lack| match lack {
                    Lack::File(file, _) | Lack::Pickle(file) => *file,
                })
                .collect()
        };
        assert_eq!(names(Wanted::Base), ["config.json", "model.safetensors", "tokenizer.json"]);
        assert_eq!(names(Wanted::Adapter), ["adapter_config.json", "adapter_model.safetensors"]);
    }

    #[test]
    fn an_index_may_only_name_safetensors_beside_it() {
        let of = |name: &str| shards(format!(r#"{{"weight_map":{{"w":"{name}"}}}}"#).as_bytes());
        assert_eq!(of("model-1.safetensors"), Ok(listing(&["model-1.safetensors"])));
        for bad in ["../model.safetensors", "/model.safetensors", "a/b.safetensors", ".safetensors", "model.bin", ""] {
            assert!(of(bad).is_err(), "{bad}");
        }
        for bad in ["", "[]", "{}", r#"{"weight_map":{}}"#, r#"{"weight_map":{"w":1}}"#] {
            assert!(shards(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
