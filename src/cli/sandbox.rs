//! `drctl sandbox`: serves until it is interrupted.

use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::Timestamp;

use super::exit::Exit;
use super::{output, setup};
use crate::estate::Estate;
use crate::sandbox::{AwsBehaviour, Options, Sandbox};

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

pub(super) async fn run(configs: &[PathBuf], args: &Args) -> anyhow::Result<Exit> {
    let mut estates: Vec<Estate> = Vec::new();
    for config in configs {
        estates.push(setup::load(config)?.estate);
    }
    let (listen, time_scale, corrupt) = (args.listen, args.time_scale, args.corrupt.clone());
    let options = Options { listen, time_scale, corrupt, start: args.start, aws: args.aws };
    let sandbox = Sandbox::start(&estates, &options).await?;
    for missing in &sandbox.missing {
        output::talk(&format!("warning: {missing}"));
    }
    output::talk(&format!(
        "the sandbox serves on http://{} at {} times real speed; account 123456789012; Ctrl-C ends it",
        sandbox.address, args.time_scale
    ));
    let region = estates.first().map_or("us-east-1", |estate| estate.region.as_str());
    let mut environment = sandbox.environment();
    environment.push(("AWS_REGION", region.to_owned()));
    let all: Vec<_> = environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    output::talk(&format!("in another terminal: export {}", all.join(" ")));
    output::data(&all.join("\n"));
    setup::wait_for_signal().await;
    output::talk("stopping");
    sandbox.stop().await;
    Ok(Exit::Passed)
}
