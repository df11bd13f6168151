-- What the database's superuser does once in the service's database, before the service starts for the first time, so that
-- the service can add to what its staff did, and neither change nor remove it. The service's role is movans; it must own
-- neither the database nor the schema public. The migrations themselves are the service's.

do $$ begin
    create role movans_audit nologin;
exception when duplicate_object then null;
end $$;

grant create on schema public to movans;

-- A migration calls it: from then on the table is another role's, whom nobody can log in as.
create function hand_over_acts() returns void language plpgsql security definer set search_path = public, pg_temp as $$
begin
    alter table staff_act owner to movans_audit;
    revoke all on staff_act from public, movans;
    grant select, insert on staff_act to movans;
end $$;

