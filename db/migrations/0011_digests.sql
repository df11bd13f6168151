-- Of whom a snapshot says again, byte for byte, what holds, nothing is read again.

alter table roster add column digest bytea;
comment on column roster.digest is
    'Of the row by which the feed''s last snapshot has them, where the same row once more would be no news. Empty: their next row is looked at, whatever it says.';

create table snapshot (
    feed text        primary key,
    at   timestamptz not null
);
comment on table snapshot is 'When the last snapshot of a feed came: whoever has a digest on its roster was said then to be as is known.';

-- A row that says what it said before can be news where the offender is not as that row left them. So whatever changes
-- an offender, or what happened to them, takes their digests away; that they had been told of again stays known.
-- By the index always: what is planned while there is hardly a roster would read all of it when it is large.
create function look_again(whose bigint[]) returns void language plpgsql set enable_seqscan = off as $$
begin
    if exists (select from roster where offender_id = any (whose) and digest is not null) then
        with said as (
            update roster set digest = null where offender_id = any (whose) and digest is not null
            returning offender_id, (select at from snapshot s where s.feed = roster.feed) as at)
        update offender o set known_at = last.at
        from (select offender_id, max(at) as at from said group by offender_id) last
        where o.id = last.offender_id and o.known_at < last.at;
    end if;
end $$;

create function look_again_at_offender() returns trigger language plpgsql as $$
begin
    perform look_again(array[new.id]);
    return null;
end $$;
create trigger look_again after update on offender for each row
    when ((old.agency, old.number, old.first_name, old.middle_name, old.last_name, old.birth_date, old.status,
           old.facility, old.since, old.booking_number, old.aliases, old.case_numbers, old.release_date, old.court_at,
           old.court_place) is distinct from
          (new.agency, new.number, new.first_name, new.middle_name, new.last_name, new.birth_date, new.status,
           new.facility, new.since, new.booking_number, new.aliases, new.case_numbers, new.release_date, new.court_at,
           new.court_place))
    execute function look_again_at_offender();

create function look_again_after_events() returns trigger language plpgsql as $$
begin
    perform look_again(array(select offender_id from changed));
    return null;
end $$;
create trigger look_again after insert on custody_event referencing new table as changed
    for each statement execute function look_again_after_events();
create trigger look_again_corrected after update on custody_event referencing new table as changed
    for each statement execute function look_again_after_events();
create trigger look_again_removed after delete on custody_event referencing old table as changed
    for each statement execute function look_again_after_events();
