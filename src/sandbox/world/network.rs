//! What databases are placed in: zones, subnet groups and security groups; and the groups of their settings.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::{self, VERSIONS};

/// The VPC that everything is in unless it is put elsewhere.
pub(in crate::sandbox) const VPC: &str = "vpc-0f1e2d3c4b5a69788";
/// Its own security group, which a restore takes where none is named.
pub(in crate::sandbox) const DEFAULT_SECURITY_GROUP: &str = "sg-0de4a17b2c3d4e5f6";
/// The security group of the sources.
pub(super) const SOURCE_SECURITY_GROUP: &str = "sg-09c8b7a6958473625";
/// How many zones a Region has.
const ZONES: [char; 3] = ['a', 'b', 'c'];

/// A DB subnet group.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct SubnetGroup {
    pub(in crate::sandbox) name: String,
    pub(in crate::sandbox) description: String,
    pub(in crate::sandbox) vpc: String,
    /// Each subnet with its zone.
    pub(in crate::sandbox) subnets: Vec<(String, String)>,
}

impl SubnetGroup {
    /// A group in the VPC of the sandbox, with a subnet in each zone.
    pub(in crate::sandbox) fn new(name: &str, region: &str) -> Self {
        let subnets =
            zones(region).into_iter().enumerate().map(|(at, zone)| (format!("subnet-0{at}a1b2c3d4e5f6071"), zone));
        Self {
            name: name.to_owned(),
            description: format!("{name} of the sandbox"),
            vpc: VPC.to_owned(),
            subnets: subnets.collect(),
        }
    }

    /// The zones that it covers.
    pub(in crate::sandbox) fn zones(&self) -> BTreeSet<&str> {
        self.subnets.iter().map(|(_, zone)| zone.as_str()).collect()
    }
}

/// The zones of a Region.
pub(in crate::sandbox) fn zones(region: &str) -> Vec<String> {
    ZONES.iter().map(|letter| format!("{region}{letter}")).collect()
}

/// A parameter group of instances or of clusters.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct ParameterGroup {
    pub(in crate::sandbox) name: String,
    pub(in crate::sandbox) family: String,
}

/// An option group. Only instances have one.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct OptionGroup {
    pub(in crate::sandbox) name: String,
    pub(in crate::sandbox) engine: String,
    pub(in crate::sandbox) major: String,
    /// Where it can be used; anywhere where absent.
    pub(in crate::sandbox) vpc: Option<String>,
    /// Options that it sets, by name. Persistent ones tie a snapshot to it.
    pub(in crate::sandbox) options: Vec<String>,
}

/// A security group.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct SecurityGroup {
    pub(in crate::sandbox) vpc: String,
    /// The address ranges to which it lets traffic out.
    pub(in crate::sandbox) egress: Vec<String>,
}

/// The groups and classes of one Region.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Network {
    pub(in crate::sandbox) subnet_groups: BTreeMap<String, SubnetGroup>,
    pub(in crate::sandbox) security_groups: BTreeMap<String, SecurityGroup>,
    pub(in crate::sandbox) parameter_groups: BTreeMap<String, ParameterGroup>,
    pub(in crate::sandbox) cluster_parameter_groups: BTreeMap<String, ParameterGroup>,
    pub(in crate::sandbox) option_groups: BTreeMap<String, OptionGroup>,
    /// Classes that are not in every zone, each with its zones.
    pub(in crate::sandbox) class_zones: BTreeMap<String, Vec<String>>,
    /// Classes that AWS has none of at the moment, however orderable they are.
    pub(in crate::sandbox) short_classes: BTreeSet<String>,
}

impl Network {
    /// What every account has in every Region: the defaults.
    pub(super) fn of(region: &str) -> Self {
        let mut network = Self::default();
        network.add_subnet_group(SubnetGroup::new("default", region));
        // As AWS makes them: everything may leave.
        network.add_security_group(DEFAULT_SECURITY_GROUP, VPC, &["0.0.0.0/0"]);
        network.add_security_group(SOURCE_SECURITY_GROUP, VPC, &["0.0.0.0/0"]);
        for known in VERSIONS {
            let name = format!("default.{}", known.family);
            network.add_parameter_group(&name, known.family);
            if catalog::is_cluster_engine(known.engine) {
                network.add_cluster_parameter_group(&name, known.family);
            } else {
                let name = default_option_group(known.engine, known.major);
                network.add_option_group(&name, known.engine, known.major, None);
            }
        }
        network
    }

    pub(in crate::sandbox) fn add_subnet_group(&mut self, group: SubnetGroup) {
        self.subnet_groups.insert(group.name.clone(), group);
    }

    pub(in crate::sandbox) fn add_security_group(&mut self, id: &str, vpc: &str, egress: &[&str]) {
        let egress = egress.iter().map(|range| (*range).to_owned()).collect();
        self.security_groups.insert(id.to_owned(), SecurityGroup { vpc: vpc.to_owned(), egress });
    }

    pub(in crate::sandbox) fn add_parameter_group(&mut self, name: &str, family: &str) {
        let group = ParameterGroup { name: name.to_owned(), family: family.to_owned() };
        self.parameter_groups.insert(name.to_owned(), group);
    }

    pub(in crate::sandbox) fn add_cluster_parameter_group(&mut self, name: &str, family: &str) {
        let group = ParameterGroup { name: name.to_owned(), family: family.to_owned() };
        self.cluster_parameter_groups.insert(name.to_owned(), group);
    }

    pub(in crate::sandbox) fn add_option_group(&mut self, name: &str, engine: &str, major: &str, vpc: Option<&str>) {
        let group = OptionGroup {
            name: name.to_owned(),
            engine: engine.to_owned(),
            major: major.to_owned(),
            vpc: vpc.map(str::to_owned),
            options: Vec::new(),
        };
        self.option_groups.insert(name.to_owned(), group);
    }

    /// The zones that have a class.
    pub(in crate::sandbox) fn zones_of_class(&self, class: &str, region: &str) -> Vec<String> {
        self.class_zones.get(class).cloned().unwrap_or_else(|| zones(region))
    }

    /// The VPC of a subnet group; the sandbox's where there is none of that name.
    pub(in crate::sandbox) fn vpc_of(&self, subnet_group: &str) -> &str {
        self.subnet_groups.get(subnet_group).map_or(VPC, |group| group.vpc.as_str())
    }
}

/// Such as `default:mysql-8-0`.
pub(in crate::sandbox) fn default_option_group(engine: &str, major: &str) -> String {
    format!("default:{engine}-{}", major.replace('.', "-"))
}
