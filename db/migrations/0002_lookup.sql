-- How an offender is found besides the offender number, and what is told besides custody.

create function keyed(number text) returns text immutable strict parallel safe
    return translate(regexp_replace(upper(number), '[^A-Z0-9]', '', 'g'),
                     'ABCDEFGHIJKLMNOPQRSTUVWXYZ', '22233344455566677778889999');
comment on function keyed is 'A number as it is keyed on a telephone: letters on their keys, punctuation left out.';

alter table offender
    add booking_number text        not null default '',
    add booking_keys   text        generated always as (keyed(booking_number)) stored,
    add aliases        text[]      not null default '{}',
    add case_numbers   text[]      not null default '{}',
    add release_date   date,
    add court_at       timestamptz,
    add court_place    text        not null default '',
    add searchable     boolean     not null default false;
comment on column offender.booking_number is 'The agency''s number of the present or last time in custody. Empty: none is known.';
comment on column offender.aliases is 'Other names of the person, each as LAST, FIRST MIDDLE.';
comment on column offender.release_date is 'The day on which the person is due to be released.';
comment on column offender.court_at is 'When the person is next due in court, at court_place.';
comment on column offender.searchable is
    'Its rows in offender_name and offender_case are there. Where they are not, the next start writes them: a migration sets it to false when the rules of db/names.py have changed.';
create index offender_by_booking on offender (booking_keys) where booking_keys <> '';
create index offender_not_searchable on offender (id) where not searchable;

create table offender_name (
    offender_id bigint   not null references offender,
    last_keys   text     collate "C" not null,
    first_keys  text     collate "C" not null,
    birth_year  smallint,
    last_start  text     collate "C" generated always as (left(last_keys, 3)) stored
);
comment on table offender_name is
    'What an offender is found by, keyed on a telephone: a row for each form of each name, as db/names.py makes them.';
comment on column offender_name.birth_year is 'The offender''s, so that a search needs no other table. Empty: not known.';
comment on column offender_name.last_start is 'As much of the last name as callers key in at the least.';
-- Whichever of last and first name is rarer leads a search, so that none reads many rows that do not match. Which one
-- that is, PostgreSQL knows from fine statistics only.
create index offender_name_by_last on offender_name (last_keys, first_keys);
create index offender_name_by_first on offender_name (last_start, first_keys, last_keys);
create index offender_name_by_year on offender_name (birth_year, last_keys, first_keys);
create index offender_name_of_offender on offender_name (offender_id);
alter table offender_name
    alter last_keys set statistics 1000, alter first_keys set statistics 1000, alter last_start set statistics 1000;

create table offender_case (
    offender_id bigint not null references offender,
    keys        text   not null
);
comment on table offender_case is 'The offenders'' case numbers as they are keyed on a telephone.';
create index offender_case_by_keys on offender_case (keys);
create index offender_case_of_offender on offender_case (offender_id);
