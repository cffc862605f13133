//! `drctl init`: a first configuration, to be read and completed.

use std::io::Write;
use std::path::Path;

use anyhow::Context;

use super::exit::Exit;
use super::output;
use crate::estate::DatabaseKind;
use crate::text;

/// With `{name}`, `{region}`, `{account}` and `{databases}` for what was given, or can be guessed.
const TEMPLATE: &str = include_str!("init.toml");
const DATABASE: &str = include_str!("init_database.toml");
const DEFAULT_REGION: &str = "eu-west-1";
const REGION_VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The estate's name, as reports show it [default: the name of the folder]
    #[arg(long)]
    name: Option<String>,
    /// The AWS Region of the databases [default: AWS_REGION, or eu-west-1]
    #[arg(long)]
    region: Option<String>,
    /// The twelve digits of the AWS account; drctl then refuses to work in any other.
    #[arg(long, value_parser = parse_account)]
    account: Option<String>,
    /// A database: its AWS identifier and its kind, such as `orders=rds-postgresql`; can be given again.
    #[arg(long, value_name = "ID=KIND", value_parser = parse_database)]
    database: Vec<(String, DatabaseKind)>,
}

fn parse_account(text: &str) -> Result<String, String> {
    let is_account = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_account.then(|| text.to_owned()).ok_or_else(|| "write the account's twelve digits".to_owned())
}

fn parse_database(text: &str) -> Result<(String, DatabaseKind), String> {
    let (id, kind) = text.split_once('=').ok_or("write ID=KIND, such as orders=rds-postgresql")?;
    let is_plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let names = DatabaseKind::ALL.map(|(name, _)| name);
    let known = DatabaseKind::ALL.iter().find(|(name, _)| *name == kind).map(|(_, kind)| *kind);
    let hint = || text::did_you_mean(kind, names).unwrap_or_else(|| format!("write one of {}", names.join(", ")));
    match known {
        Some(kind) if is_plain => Ok((id.to_owned(), kind)),
        Some(_) => Err("write the identifier as AWS shows it: letters, digits and hyphens".to_owned()),
        None => Err(format!("`{kind}` is no kind; {}", hint())),
    }
}

pub(super) fn run(file: &Path, args: &Args) -> anyhow::Result<Exit> {
    let shown = file.display();
    let made = std::fs::OpenOptions::new().write(true).create_new(true).open(file);
    let mut made = match made {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let hint = "edit it, or name another file with `--config FILE`";
            return Err(output::usage(format!("`{shown}` exists already; it was not changed"), hint));
        }
        other => other.with_context(|| format!("failed to create `{shown}`"))?,
    };
    made.write_all(configuration(args).as_bytes()).with_context(|| format!("failed to write `{shown}`"))?;
    output::status(&format!("wrote `{shown}`: complete it, then run `drctl doctor`"));
    Ok(Exit::Passed)
}

fn configuration(args: &Args) -> String {
    let of_folder = || {
        let folder = std::env::current_dir().ok()?;
        let name = folder.file_name()?.to_str()?.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        Some(name)
    };
    let name = args.name.clone().or_else(of_folder).unwrap_or_else(|| "estate".to_owned());
    let of_variable = || REGION_VARIABLES.iter().find_map(|variable| std::env::var(variable).ok());
    let region = args.region.clone().or_else(of_variable).unwrap_or_else(|| DEFAULT_REGION.to_owned());
    let account = match &args.account {
        Some(account) => format!("account = \"{account}\""),
        None => "# account = \"123456789012\"".to_owned(),
    };
    let example = [("my-database".to_owned(), DatabaseKind::RdsPostgresql)];
    let databases = if args.database.is_empty() { &example } else { args.database.as_slice() };
    let databases = databases.iter().map(|(id, kind)| DATABASE.replace("{id}", id).replace("{kind}", kind.name()));
    TEMPLATE
        .replace("{name}", &quoted(&name))
        .replace("{region}", &quoted(&region))
        .replace("{account}", &account)
        .replace("{databases}", &databases.collect::<Vec<_>>().join("\n"))
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn args(database: &[(&str, DatabaseKind)]) -> Args {
        let database = database.iter().map(|(id, kind)| ((*id).to_owned(), *kind)).collect();
        Args {
            name: Some("a \"shop\"".to_owned()),
            region: Some("eu-north-1".to_owned()),
            account: Some("123456789012".to_owned()),
            database,
        }
    }

    #[test]
    fn what_is_written_is_valid_for_every_kind() {
        assert_eq!(parse("x", &configuration(&args(&[]))).unwrap().databases.len(), 1);
        let kinds = DatabaseKind::ALL.map(|(name, kind)| (name, kind));
        let estate = parse("x", &configuration(&args(&kinds))).unwrap();
        assert_eq!((estate.name.as_str(), estate.region.as_str()), ("a \"shop\"", "eu-north-1"));
        assert_eq!(estate.account.as_deref(), Some("123456789012"));
        let found: Vec<_> = estate.databases.iter().map(|database| (database.id.as_str(), database.kind)).collect();
        assert_eq!(found, kinds);
    }

    #[test]
    fn a_wrong_kind_is_told_the_likely_one() {
        assert!(parse_database("orders=rds-postgres").unwrap_err().contains("did you mean `rds-postgresql`?"));
        assert!(parse_database("orders").is_err() && parse_database("a\"b=documentdb").is_err());
    }
}
