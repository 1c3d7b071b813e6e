//! Is this machine fit for sway, and what to do where it is not.
//!
//! The rooms that know a part of the machine measure it (`model`: kernels, memory, the hub). Here is what the figures mean: one
//! file for each thing that is looked at, each with a plain value and a rule that makes a [`Check`] of it, tested on figures that
//! no machine has to have.
//!
//! *Bad* is what fails until someone puts it right. What is slow or scarce, or out of reach and not needed by who has the models in
//! folders, is a warning.

mod build;
mod cache;
mod cpu;
mod disk;
mod gpu;
mod hub;
mod memory;
mod rate;
mod size;
mod threads;
mod token;

use std::thread;

use crate::model::Device;
use crate::model::hub::{CacheFolder, HubSettings, Network, reach};
use crate::model::kernel::instructions::{Instructions, bf16_pairs_in_use};
use crate::model::machine::Machine;
use crate::model::memory::Memory;
use crate::record::{Check, Checkup};

use build::Build;
use cache::Cache;
use cpu::Cpu;
use disk::Disk;
use hub::Hub;
use rate::Rates;
use threads::Threads;
use token::Token;

/// Why nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quiet {
    /// Something may be.
    No,
    /// `--offline`: for this once.
    Asked,
    /// `HF_HUB_OFFLINE`: sway never sends anything.
    Always,
}

/// Looks at everything, some seconds long, and tells of each thing as it is known.
///
/// `asked_offline`: nothing is sent, whatever the settings say.
pub fn examine(settings: &HubSettings, asked_offline: bool, tell: &mut dyn FnMut(&Check)) -> Checkup {
    let mut checks = Vec::new();
    let mut add = |check: Check| {
        tell(&check);
        checks.push(check);
    };
    let machine = Machine::now();
    let threads = rayon::current_num_threads();
    let usable = thread::available_parallelism().map_or(machine.threads, std::num::NonZero::get);
    let instructions = Instructions::in_use();

    add(Build::this().check());
    add(Cpu { name: &machine.cpu, instructions, bf16_pairs: bf16_pairs_in_use() }.check());
    add(Threads { used: threads, usable, machine: machine.threads }.check());
    for rates in Rates::measure(threads) {
        add(rates.check());
    }
    add(memory::check(Memory::now(), machine.memory));

    for device in Device::built().filter(|device| matches!(device, Device::Cuda(_) | Device::Metal)) {
        add(gpu::check(device, device.try_out()));
    }

    let quiet = match settings.network {
        Network::Offline => Quiet::Always,
        Network::Online if asked_offline => Quiet::Asked,
        Network::Online => Quiet::No,
    };
    let folder = CacheFolder::survey(&settings.cache_dir);
    add(Cache { folder: &folder, network: settings.network }.check());
    add(Disk { free: folder.free, network: settings.network }.check());
    // A token that can't be sent is told of as such, and the hub asked without it.
    let token_fits = settings.token.as_deref().is_none_or(token::can_be_sent);
    let asked = HubSettings { token: settings.token.clone().filter(|_| token_fits), ..settings.clone() };
    let reached = if quiet == Quiet::No { reach(&asked) } else { None };
    add(Token { source: &settings.token_source, fits: token_fits, reached: reached.as_ref() }.check());
    add(Hub { endpoint: &settings.endpoint, quiet, proxy: settings.proxy_variable(), reached: reached.as_ref() }.check());
    Checkup::of(checks)
}
