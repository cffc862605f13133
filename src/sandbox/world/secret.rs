//! Secrets with their versions.

use jiff::Timestamp;

use crate::estate::Partition;

/// What AWS puts behind a secret's name in its ARN: six characters of chance.
const SUFFIX_CHARS: usize = 6;

/// A secret with its versions.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Secret {
    pub(in crate::sandbox) name: String,
    pub(in crate::sandbox) arn: String,
    pub(in crate::sandbox) created_at: Timestamp,
    /// The newest last: AWSCURRENT, and AWSPREVIOUS before it.
    versions: Vec<(String, String)>,
}

impl Secret {
    /// `id` is a name, or the ARN that somebody wrote down.
    pub(in crate::sandbox) fn new(account: &str, region: &str, id: &str, value: &str, now: Timestamp) -> Self {
        let name = name_of(id);
        let arn = if id.starts_with("arn:") {
            id.to_owned()
        } else {
            let partition = Partition::of(region).id;
            format!("arn:{partition}:secretsmanager:{region}:{account}:secret:{name}-Sbox01")
        };
        let mut secret = Self { name: name.to_owned(), arn, created_at: now, versions: Vec::new() };
        secret.put(value);
        secret
    }

    /// A new current version.
    pub(in crate::sandbox) fn put(&mut self, value: &str) {
        let id = format!("{:08x}-0000-4000-8000-{:012x}", rand::random::<u32>(), self.versions.len() + 1);
        self.versions.push((id, value.to_owned()));
    }

    /// The id and the value of the version at a stage.
    pub(in crate::sandbox) fn version(&self, stage: &str) -> Option<&(String, String)> {
        let back = match stage {
            "AWSCURRENT" => 1,
            "AWSPREVIOUS" => 2,
            _ => return None,
        };
        self.versions.len().checked_sub(back).and_then(|at| self.versions.get(at))
    }

    /// Whether `id` means this secret: its name, its ARN, or its ARN without what chance put at its end.
    pub(in crate::sandbox) fn is_meant(&self, id: &str) -> bool {
        self.name == id
            || self.arn == id
            || self.arn.strip_prefix(id).is_some_and(|rest| rest.len() == SUFFIX_CHARS + 1)
    }
}

/// The name in a secret's ARN, or what is a name already.
fn name_of(id: &str) -> &str {
    let Some((_, name)) = id.split_once(":secret:") else { return id };
    match name.rsplit_once('-') {
        Some((name, suffix)) if suffix.len() == SUFFIX_CHARS => name,
        _ => name,
    }
}

/// The Region and the account of an ARN.
pub(in crate::sandbox) fn home_of(id: &str) -> Option<(&str, &str)> {
    let mut parts = id.strip_prefix("arn:")?.split(':').skip(2);
    Some((parts.next()?, parts.next()?))
}
