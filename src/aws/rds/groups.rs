//! What a restore is made with, read beforehand: subnet groups, option groups, parameter groups, instance classes.

use super::super::connect::Aws;
use super::super::error::{Error, ErrorKind, Result};
use super::super::model::{OptionGroup, Orderable, SubnetGroup};
use super::listing::all;
use super::{RDS, Rds};
use crate::estate::DatabaseKind;

/// The least that a describe takes as `MaxRecords`.
const FEWEST_RECORDS: i32 = 20;

impl Aws {
    /// A DB subnet group; `None` where there is none of that name.
    ///
    /// # Errors
    /// Where the call failed.
    pub async fn subnet_group(&self, name: &str) -> Result<Option<SubnetGroup>> {
        let answer = self.client::<Rds>().describe_db_subnet_groups().db_subnet_group_name(name).send().await;
        match answer.map_err(|error| RDS.error("DescribeDBSubnetGroups", error)) {
            Ok(answer) => Ok(answer.db_subnet_groups.unwrap_or_default().into_iter().next().map(|group| {
                let subnets = group.subnets.unwrap_or_default().into_iter();
                let zones = subnets.filter_map(|subnet| subnet.subnet_availability_zone?.name);
                let mut zones: Vec<String> = zones.collect();
                zones.sort();
                zones.dedup();
                SubnetGroup { status: group.subnet_group_status.unwrap_or_default(), vpc: group.vpc_id, zones }
            })),
            Err(Error { kind: ErrorKind::NotFound | ErrorKind::MissingGroup, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An option group; `None` where there is none of that name.
    ///
    /// # Errors
    /// Where the call failed.
    pub async fn option_group(&self, name: &str) -> Result<Option<OptionGroup>> {
        let answer = self.client::<Rds>().describe_option_groups().option_group_name(name).send().await;
        match answer.map_err(|error| RDS.error("DescribeOptionGroups", error)) {
            Ok(answer) => Ok(answer.option_groups_list.unwrap_or_default().into_iter().next().map(|group| {
                let options = group.options.unwrap_or_default().into_iter();
                OptionGroup {
                    vpc: group.vpc_id.filter(|vpc| !vpc.is_empty()),
                    engine: group.engine_name.unwrap_or_default(),
                    major_version: group.major_engine_version.unwrap_or_default(),
                    options: options.filter_map(|option| option.option_name).collect(),
                }
            })),
            Err(Error { kind: ErrorKind::NotFound | ErrorKind::MissingGroup, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The family that a parameter group is for, such as `postgres15`; `None` where there is no such group.
    ///
    /// # Errors
    /// Where the call failed.
    pub async fn parameter_group_family(&self, kind: DatabaseKind, name: &str) -> Result<Option<String>> {
        let family = if kind.is_cluster() {
            let answer = self
                .client::<Rds>()
                .describe_db_cluster_parameter_groups()
                .db_cluster_parameter_group_name(name)
                .send();
            let answer = answer.await.map_err(|error| RDS.error("DescribeDBClusterParameterGroups", error));
            answer
                .map(|answer| answer.db_cluster_parameter_groups.unwrap_or_default().into_iter().next())
                .map(|group| group.map(|group| group.db_parameter_group_family))
        } else {
            let answer = self.client::<Rds>().describe_db_parameter_groups().db_parameter_group_name(name).send().await;
            let answer = answer.map_err(|error| RDS.error("DescribeDBParameterGroups", error));
            answer
                .map(|answer| answer.db_parameter_groups.unwrap_or_default().into_iter().next())
                .map(|group| group.map(|group| group.db_parameter_group_family))
        };
        match family {
            Ok(family) => Ok(family.map(Option::unwrap_or_default)),
            Err(Error { kind: ErrorKind::NotFound | ErrorKind::MissingGroup, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every way in which a class can be ordered for a version of an engine; none where it cannot.
    ///
    /// # Errors
    /// Where the call failed.
    pub async fn orderable(&self, engine: &str, version: Option<&str>, class: &str) -> Result<Vec<Orderable>> {
        let request =
            self.client::<Rds>().describe_orderable_db_instance_options().engine(engine).db_instance_class(class);
        let request = request.set_engine_version(version.map(str::to_owned)).vpc(true);
        let options = all("DescribeOrderableDBInstanceOptions", request.into_paginator().items().send()).await?;
        let found = options.into_iter().filter(|option| option.db_instance_class.as_deref() == Some(class));
        Ok(found
            .map(|option| Orderable {
                class: option.db_instance_class.unwrap_or_default(),
                storage: option.storage_type,
                zones: option.availability_zones.unwrap_or_default().into_iter().filter_map(|zone| zone.name).collect(),
            })
            .collect())
    }
    /// Whether any class can be ordered for a version of an engine: of a version that AWS no longer offers none can, and
    /// its snapshots may be restored all the same.
    ///
    /// # Errors
    /// Where the call failed.
    pub async fn is_offered(&self, engine: &str, version: Option<&str>) -> Result<bool> {
        let request =
            self.client::<Rds>().describe_orderable_db_instance_options().engine(engine).max_records(FEWEST_RECORDS);
        let answer = request.set_engine_version(version.map(str::to_owned)).vpc(true).send().await;
        let answer = answer.map_err(|error| RDS.error("DescribeOrderableDBInstanceOptions", error))?;
        Ok(!answer.orderable_db_instance_options.unwrap_or_default().is_empty())
    }
}
