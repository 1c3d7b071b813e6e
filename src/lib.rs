//! Did the adapter change the model the way its maker meant, and in no other way?
//!
//! The library behind the `sway` binary. A suite of probes is taken through one engine that answers for several views of one
//! copy of the weights (base, adapter, adapter times λ, random adapters of the same shape), and ends in verdicts.
//!
//! The rooms, from the outside in; `tests/architecture.rs` holds who may import whom:
//!
//! | room | what is in it |
//! |---|---|
//! | [`cli`] | arguments, output files, progress, exit codes: the only room that prints |
//! | [`runner`] | from a suite to a record: plan, liveness, the run, the gate |
//! | [`suite`] | TOML to a suite, every error at once, each with its place |
//! | [`probe`] | what each kind asks of an item, and what the answers mean; pure |
//! | [`pipeline`] | what models write, stage by stage, and what it is worth: templates, stages, scorers |
//! | [`engine`] | request → answer: cache, batches, statistics, trace |
//! | [`model`] | weights, tokenizer, architectures, LoRA, kernels, the hub: the only room that names tokenizers and `hf_hub` |
//! | [`report`] | folds from a record to bytes: terminal, JSON, JSONL, Markdown, `JUnit`, HTML, and the trace's summary |
//! | [`doctor`] | whether this machine is fit for it: what the figures of other rooms mean, and what to do |
//! | [`score`] | requests and answers as lines of JSON |
//! | [`serve`] | the daemon: models that stay warm for many clients |
//! | [`stream`] | where items come from: files, globs, stores and the hub; blocks ahead of their reading, and rows |
//! | [`store`] | what outlives a process: answers, and runs with all they found; the only SQL |
//! | [`workspace`] | what a user's paths start from, and the fence around what may be read for somebody else |
//! | [`retry`] | how a request is tried again: pauses, and what a server asks for |
//! | [`template`] | Jinja with bounds: a template is somebody's program |
//! | [`request`], [`record`], [`math`] | leaves: the words of a question, of a finding, and formulas |

pub mod cli;
pub mod doctor;
pub mod engine;
pub mod math;
pub mod model;
pub mod pipeline;
pub mod probe;
pub mod record;
pub mod report;
pub mod request;
pub mod retry;
pub mod runner;
pub mod score;
pub mod serve;
pub mod store;
pub mod stream;
pub mod suite;
pub mod template;
pub mod workspace;
