//! `sway doctor`

use super::args::{DoctorArgs, ListFormat};
use super::exit::{Exit, Failure, OrExit};
use super::output::{stdout_style, write_stdout};
use crate::doctor;
use crate::model::hub::HubSettings;
use crate::record::{Check, Status};
use crate::report::doctor::{human, json};

pub fn doctor(args: &DoctorArgs) -> Result<Exit, Failure> {
    let style = stdout_style();
    let mut told = Ok(());
    let mut tell = |check: &Check| {
        if args.format == ListFormat::Human && told.is_ok() {
            told = write_stdout(human::line(check, style).as_bytes());
        }
    };
    let checkup = doctor::examine(&HubSettings::from_env(), args.offline, &mut tell);
    told?;
    let end = match args.format {
        ListFormat::Human => human::summary(&checkup),
        ListFormat::Json => json::render(&checkup).or_exit(Exit::Internal)?,
    };
    write_stdout(end.as_bytes())?;
    Ok(if checkup.status == Status::Bad { Exit::Failed } else { Exit::Ok })
}
