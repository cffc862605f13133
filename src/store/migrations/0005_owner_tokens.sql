-- A number alone does not say whose a run is: a database that has lost its last commits gives the same number again. Whoever
-- takes a run writes a random token beside it.

alter table runs add column owner text not null default '';
