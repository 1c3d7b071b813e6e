//! An adapter that can't be taken whole is refused, and the tensors are named.

use crate::world::{DEMO, Told, World, masked, sway};

const Q: &str = "base_model.model.model.layers.1.self_attn.q_proj";

fn run(world: &World, adapter: &str) -> Told {
    let told = sway(&["run", DEMO, "--adapter", adapter, "--json", &world.path("record.json")]);
    assert_eq!(world.names(), ["adapter"], "no report and no temporary file is left behind");
    told
}

#[test]
fn a_value_that_is_not_a_number_is_refused() {
    let world = World::new();
    let adapter = world.adapter(|tensors| tensors.get_mut(&format!("{Q}.lora_B.weight")).unwrap().set(17, f32::NAN));
    let told = run(&world, &adapter);
    let _masked = masked(Some(&world));
    insta::assert_snapshot!(told.shown(), @"
    exit 4
    --- stderr
    error: can't load demo/base with DIR/adapter: DIR/adapter/adapter_model.safetensors is refused: the tensor `base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight` holds NaN at index 17
    hint: the training diverged; no number can be trusted
    ");
}

#[test]
fn tensors_that_match_nothing_are_refused() {
    let world = World::new();
    let adapter = world.adapter(|tensors| {
        *tensors = std::mem::take(tensors).into_iter().map(|(name, tensor)| (name.replace("q_proj", "query"), tensor)).collect();
    });
    let told = run(&world, &adapter);
    let _masked = masked(Some(&world));
    insta::assert_snapshot!(told.shown(), @"
    exit 4
    --- stderr
    error: can't load demo/base with DIR/adapter: DIR/adapter/adapter_model.safetensors is refused: 8 of its 56 tensors match no linear layer of the base: `base_model.model.model.layers.0.self_attn.query.lora_A.weight`, `base_model.model.model.layers.0.self_attn.query.lora_B.weight`, `base_model.model.model.layers.1.self_attn.query.lora_A.weight`, `base_model.model.model.layers.1.self_attn.query.lora_B.weight`, `base_model.model.model.layers.2.self_attn.query.lora_A.weight` and 3 more; it was made for `probes/demo/base`
    hint: sway looks for names such as `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`
    ");
}

#[test]
fn half_of_a_pair_is_refused() {
    let world = World::new();
    let adapter = world.adapter(|tensors| tensors.retain(|name, _| !(name.contains("layers.2") && name.contains("lora_B"))));
    let told = run(&world, &adapter);
    let _masked = masked(Some(&world));
    insta::assert_snapshot!(told.shown(), @"
    exit 4
    --- stderr
    error: can't load demo/base with DIR/adapter: DIR/adapter/adapter_model.safetensors is refused: 7 tensors lack the other half of their lora_A/lora_B pair: `base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight`, `base_model.model.model.layers.2.self_attn.k_proj.lora_A.weight`, `base_model.model.model.layers.2.self_attn.v_proj.lora_A.weight`, `base_model.model.model.layers.2.self_attn.o_proj.lora_A.weight`, `base_model.model.model.layers.2.mlp.gate_proj.lora_A.weight` and 2 more
    ");
}

#[test]
fn an_adapter_with_half_of_its_pairs_is_refused() {
    let world = World::new();
    let adapter = world.adapter(|tensors| tensors.retain(|name, _| name.contains("layers.0") || name.contains("layers.1")));
    let told = run(&world, &adapter);
    let _masked = masked(Some(&world));
    insta::assert_snapshot!(told.shown(), @"
    exit 4
    --- stderr
    error: can't load demo/base with DIR/adapter: DIR/adapter/adapter_model.safetensors is refused: adapter_config.json names 28 linear layers, and 14 of them have no tensors: `model.layers.2.self_attn.q_proj`, `model.layers.2.self_attn.k_proj`, `model.layers.2.self_attn.v_proj`, `model.layers.2.self_attn.o_proj`, `model.layers.2.mlp.gate_proj` and 9 more
    hint: the file is incomplete; save the adapter again
    ");
}
