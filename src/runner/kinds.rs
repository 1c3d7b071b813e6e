//! From a kind's name in a suite to its probe.

use crate::probe::{
    AdapterAblation, AdapterRevert, AnyProbe, BaseInvariance, CalibrationDrift, ClusterKl, DeltaKl, ExternalPerplexity,
    GradientGhost, Leakage, MultiTurnCoherenceDecay, NoiseFloorProbe, NullAdapter, ParaphraseInvariance, Pipeline,
    PreferenceFlip, Probe, PromptCollapse, SectionInternalization, StyleFingerprint, ToolUseFidelity, TrainingDrift,
};
use crate::suite::{Diagnostic, ProbeTable};

type Build = fn(&ProbeTable) -> Result<Box<dyn AnyProbe>, Vec<Diagnostic>>;

fn build_as<P: Probe>(table: &ProbeTable) -> Result<Box<dyn AnyProbe>, Vec<Diagnostic>> {
    Ok(Box::new(table.config::<P>()?))
}

/// Every kind by name.
const BUILDERS: &[(&str, Build)] = &[
    (DeltaKl::KIND.name, build_as::<DeltaKl>),
    (AdapterRevert::KIND.name, build_as::<AdapterRevert>),
    (PromptCollapse::KIND.name, build_as::<PromptCollapse>),
    (ClusterKl::KIND.name, build_as::<ClusterKl>),
    (MultiTurnCoherenceDecay::KIND.name, build_as::<MultiTurnCoherenceDecay>),
    (Pipeline::KIND.name, build_as::<Pipeline>),
    (SectionInternalization::KIND.name, build_as::<SectionInternalization>),
    (ParaphraseInvariance::KIND.name, build_as::<ParaphraseInvariance>),
    (PreferenceFlip::KIND.name, build_as::<PreferenceFlip>),
    (ToolUseFidelity::KIND.name, build_as::<ToolUseFidelity>),
    (StyleFingerprint::KIND.name, build_as::<StyleFingerprint>),
    (CalibrationDrift::KIND.name, build_as::<CalibrationDrift>),
    (Leakage::KIND.name, build_as::<Leakage>),
    (ExternalPerplexity::KIND.name, build_as::<ExternalPerplexity>),
    (GradientGhost::KIND.name, build_as::<GradientGhost>),
    (TrainingDrift::KIND.name, build_as::<TrainingDrift>),
    (AdapterAblation::KIND.name, build_as::<AdapterAblation>),
    (NullAdapter::KIND.name, build_as::<NullAdapter>),
    (NoiseFloorProbe::KIND.name, build_as::<NoiseFloorProbe>),
    (BaseInvariance::KIND.name, build_as::<BaseInvariance>),
];

/// Builds a probe from its table; an unknown kind and every mistake in its keys are diagnostics.
pub fn build(table: &ProbeTable) -> Result<Box<dyn AnyProbe>, Vec<Diagnostic>> {
    let kind = table.kind.get_ref().as_str();
    if let Some((_, build)) = BUILDERS.iter().find(|(name, _)| *name == kind) {
        return build(table);
    }
    let known: Vec<&str> = BUILDERS.iter().map(|(name, _)| *name).collect();
    Err(vec![Diagnostic::unknown(table.kind.span(), "kind", kind, &known)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_that_is_listed_can_be_built() {
        let listed: Vec<&str> = crate::probe::KINDS.iter().map(|kind| kind.name).collect();
        let built: Vec<&str> = BUILDERS.iter().map(|(name, _)| *name).collect();
        assert_eq!(listed, built);
    }
}
