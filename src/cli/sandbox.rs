//! `drctl sandbox`: serves until it is interrupted.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use jiff::Timestamp;

use super::exit::Exit;
use super::{bootstrap, output};
use crate::estate::Estate;
use crate::sandbox::{AwsBehaviour, Options, Sandbox, SourceOptions};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen; loopback only.
    #[arg(long, default_value = "127.0.0.1:4566")]
    listen: SocketAddr,
    /// How many times faster than real time lifecycles run; 0 ends each at once.
    #[arg(long, default_value_t = 60.0, value_parser = parse_scale)]
    time_scale: f64,
    /// What its clock shows at first, in RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    start: Option<Timestamp>,
    /// Damage a database's backups: `TARGET=rows`, `TARGET=page` or `TARGET=index`.
    #[arg(long, value_name = "TARGET=KIND", value_parser = parse_corrupt)]
    corrupt: Vec<(String, String)>,
    /// How closely to keep to AWS's delays: kind (everything at once), documented, or harsh (a bad day).
    #[arg(long, value_name = "MODE", default_value_t = AwsBehaviour::default(), value_parser = AwsBehaviour::parse)]
    aws: AwsBehaviour,
    /// Where to write the CA certificate of the databases, for `ca` to name [default: a file of its own]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Load your own tables from SQL instead of the shop's; `TARGET=FILE` for one database only.
    #[arg(long, value_name = "FILE")]
    schema: Vec<String>,
    /// Record every request and its answer in files of this directory, one JSON document a line.
    #[arg(long, value_name = "DIR", env = "DRCTL_SANDBOX_RECORD")]
    record: Option<PathBuf>,
    /// PostgreSQL without amcheck, as RDS has it until somebody installs it.
    #[arg(long)]
    no_amcheck: bool,
    /// Let callers do only what this IAM policy allows, such as the one that `drctl iam-policy` prints; can be given again.
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,
}

fn read_policy(path: &PathBuf) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("failed to read the policy `{}`", path.display()))
}

fn parse_scale(text: &str) -> Result<f64, String> {
    let scale = text.parse::<f64>().ok().filter(|scale| *scale == 0.0 || (1.0..=1e6).contains(scale));
    scale.ok_or_else(|| "write 0, or a number from 1 to 1000000".to_owned())
}

fn parse_corrupt(text: &str) -> Result<(String, String), String> {
    let (target, kind) =
        text.split_once('=').ok_or_else(|| "write TARGET=rows, TARGET=page or TARGET=index".to_owned())?;
    Ok((target.to_owned(), kind.to_owned()))
}

/// Reads the SQL that was named: `FILE`, or `TARGET=FILE`.
fn sources(args: &Args, estates: &[Estate]) -> anyhow::Result<SourceOptions> {
    let known =
        |target: &str| estates.iter().flat_map(|estate| &estate.databases).any(|database| database.id == target);
    let mut schemas = Vec::new();
    for text in &args.schema {
        let (target, file) = match text.split_once('=') {
            Some((target, file)) if known(target) => (Some(target.to_owned()), file),
            _ => (None, text.as_str()),
        };
        let sql = std::fs::read_to_string(file).map_err(|error| {
            let hint = "write FILE.sql, or TARGET=FILE.sql with a database of the configuration";
            output::usage(format!("failed to read the schema `{file}`: {error}"), hint)
        })?;
        schemas.push((target, sql.into()));
    }
    Ok(SourceOptions { schemas, without_amcheck: args.no_amcheck })
}

pub(super) async fn run(configs: &[PathBuf], args: &Args) -> anyhow::Result<Exit> {
    let mut estates: Vec<Estate> = Vec::new();
    for config in configs {
        estates.push(bootstrap::load(config)?.estate);
    }
    let (listen, time_scale, corrupt) = (args.listen, args.time_scale, args.corrupt.clone());
    let (ca_file, sources) = (args.ca_file.clone(), sources(args, &estates)?);
    let policies = args.policy.iter().map(read_policy).collect::<anyhow::Result<_>>()?;
    let options = Options {
        listen,
        time_scale,
        corrupt,
        start: args.start,
        aws: args.aws,
        ca_file,
        sources,
        record: args.record.clone(),
        policies,
    };
    let sandbox = Sandbox::start(&estates, &options).await?;
    for missing in &sandbox.missing {
        output::status(&format!("warning: {missing}"));
    }
    output::status(&format!(
        "the sandbox serves on http://{} at {} times real speed; account 123456789012; Ctrl-C ends it",
        sandbox.address, args.time_scale
    ));
    let region = estates.first().map_or("us-east-1", |estate| estate.region.as_str());
    let mut environment = sandbox.environment();
    environment.push(("AWS_REGION", region.to_owned()));
    let all: Vec<_> = environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    for line in &sandbox.about {
        output::status(line);
    }
    output::status(&format!("in another terminal: export {}", all.join(" ")));
    output::status(&format!("and under each [database.restore_test]: ca = \"{}\"", sandbox.ca.display()));
    environment.push(("DRCTL_SANDBOX_CA", sandbox.ca.display().to_string()));
    let all: Vec<_> = environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    output::print(&all.join("\n"));
    bootstrap::wait_for_signal().await;
    output::status("stopping");
    sandbox.stop().await;
    Ok(Exit::Passed)
}
