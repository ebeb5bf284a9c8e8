//! `tollgate serve`: the policy in production.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tollgate_core::policy::Policy;
use tollgate_proxy::clock::{Clock, SystemClock};
use tollgate_proxy::observe::Observer;
use tollgate_proxy::server::{Ended, ServeError, Server};
use tollgate_proxy::settings::{CONFIG, Settings, SettingsFile, Sources, read};
use tollgate_proxy::{BuildError, Gateway};

use super::embedded::Embedded;
use super::files;
use crate::args::Serve;
use crate::error::Failure;
use crate::term;

/// Runs the command.
pub(crate) fn run(args: &Serve) -> Result<(), Failure> {
    let settings = settings(args)?;
    let clock = SystemClock::scaled(settings.time_scale).map_err(Failure::wrong)?;
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let (policy, embedded) = policy(&settings, &clock)?;
    let server = server(policy, settings, &clock)?;
    let address = server.addresses().first().copied();
    let is_tls = server.gateway().settings().tls.is_some();
    let ended = server.run(|| {
        if let (Some(embedded), Some(address)) = (&embedded, address) {
            term::tell(&embedded.invitation(address, is_tls));
        }
    });
    match ended {
        Ok(Ended { cut: 0 }) => Ok(()),
        Ok(Ended { cut }) => {
            let cut = term::counted(
                usize::try_from(cut).unwrap_or(usize::MAX),
                "request was",
                "requests were",
            );
            Err(Failure::failed(format!(
                "{cut} cut off\n  = help: a longer `drain.deadline` would have let more of them finish"
            )))
        }
        Err(error) => Err(failure(error)),
    }
}

/// The policy that was asked for; without one, the backends that run in this process and the policy over them.
fn policy(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<(Policy, Option<Embedded>), Failure> {
    let Some(named) = &settings.policy else {
        let embedded = Embedded::start(clock, settings.seed)?;
        return Ok((embedded.policy()?, Some(embedded)));
    };
    let source = files::find_policy(named)?;
    let policy = files::read_policy(&source)?;
    files::check_urls(&source, &policy)?;
    Ok((policy, None))
}

/// A server that has its addresses and has not begun.
fn server(policy: Policy, settings: Settings, clock: &Arc<dyn Clock>) -> Result<Server, Failure> {
    let observer = Observer::with_logs(&policy, &settings, clock).map_err(|error| {
        Failure::wrong(format!(
            "the access log cannot be written: {error}\n  = help: name another file with --log-access"
        ))
    })?;
    let gateway = Gateway::builder(policy)
        .settings(settings)
        .clock(Arc::clone(clock))
        .observer(Arc::new(observer))
        .build()
        .map_err(|error| unbuilt(&error))?;
    Server::bind(gateway).map_err(failure)
}

fn unbuilt(error: &BuildError) -> Failure {
    let help = match error {
        BuildError::Certificates(_) => "`upstream.ca_file` names certificates in PEM",
        BuildError::Keys(_) => "export the variable, or leave `api_key_env` out where no key is needed",
        BuildError::Limit { .. } => "a limit of this process, counted per tenant, key or header, can be served",
        BuildError::Tokenizer(_) => "`cargo install --path . --features tokenizer`, or `estimate = \"bytes\"`",
        BuildError::Endpoint(_) => "every endpoint needs a `url` and a `provider` that is spoken here",
    };
    Failure::wrong(format!("{error}\n  = help: {help}"))
}

/// An address that is taken is found out only by trying; everything else is wrong before anything has begun.
fn failure(error: ServeError) -> Failure {
    match error {
        ServeError::Certificate(_) => Failure::wrong(error),
        ServeError::Unbound(_) | ServeError::System(_) => Failure::failed(error),
    }
}

/// The settings of flags, environment and file; warnings are told.
fn settings(args: &Serve) -> Result<Settings, Failure> {
    let environment = environment()?;
    let named = environment
        .iter()
        .find(|(name, _)| name == CONFIG)
        .map(|(_, path)| PathBuf::from(path));
    let file = match args.config.clone().or(named) {
        Some(path) => Some(path),
        None => Some(PathBuf::from("tollgate.toml")).filter(|path| path.symlink_metadata().is_ok()),
    };
    let text = file.as_ref().map(|path| files::read_text(path)).transpose()?;
    let folder = file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let name = file.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let flags: Vec<(&'static str, String)> = args.said();
    let sources = Sources {
        file: text.as_deref().map(|text| SettingsFile {
            name: &name,
            text,
            folder,
        }),
        environment: &environment,
        flags: &flags,
    };
    let (settings, warnings) = read(&sources).map_err(|error| Failure::Wrong(error.render(term::is_styled())))?;
    for warning in warnings {
        term::tell(&warning);
    }
    Ok(settings)
}

/// The variables that may be ours.
fn environment() -> Result<Vec<(String, String)>, Failure> {
    let ours = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|name| name.starts_with("TOLLGATE_"))?;
        Some(match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(Failure::wrong(format!("the variable {name} is not UTF-8 text"))),
        })
    });
    ours.collect()
}
