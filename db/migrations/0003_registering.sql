-- Registering safely: telephones that are proven by a call, what is asked of the caller, and what keeps others out.

alter table registrant add column pin_first boolean not null default false;
comment on column registrant.pin_first is 'Whether the PIN is to be asked for before anything is said of what happened.';

alter table telephone add column proven_at timestamptz, add column ended_at timestamptz;
comment on column telephone.proven_at is
    'When the registrant''s PIN was last entered on a call to this telephone. Until then whoever picks up may not be the registrant: the PIN is asked for first.';
comment on column telephone.ended_at is 'When it stopped to be called: somebody who picked up said twice that they did not ask for this.';
alter table telephone drop constraint telephone_registrant_id_number_hash_key;
create unique index telephone_once on telephone (registrant_id, number_hash) where ended_at is null;

create table proof (
    id           bigint generated always as identity primary key,
    telephone_id bigint      not null references telephone,
    state        text        not null default 'open' check (state in ('open', 'proven', 'not wanted', 'given up')),
    created_at   timestamptz not null,
    next_call_at timestamptz,
    ended_at     timestamptz,
    constraint ended_proof_has_its_time check ((state = 'open') = (ended_at is null)),
    constraint open_proof_is_called check ((state = 'open') = (next_call_at is not null))
);
comment on table proof is 'The duty to call a telephone once after it was left with us, so that whoever answers there says with the PIN that it was they.';
comment on column proof.state is
    'open: not yet done. proven: the registrant''s PIN was entered on a call to this telephone. not wanted: whoever picked up did not ask for this. given up: called as often as a proof is, and no PIN.';
comment on column proof.next_call_at is 'When it is next due to be called. Empty once it has ended.';
create unique index one_open_proof on proof (telephone_id) where state = 'open';
create index proof_due on proof (next_call_at) where next_call_at is not null;
create trigger stays_ended before update on proof
    for each row when (old.state <> 'open') execute function stays_ended();
create trigger wake_dialers after insert or update of next_call_at on proof
    for each statement execute function wake_dialers();

alter table call_attempt add column proof_id bigint references proof;
comment on column call_attempt.proof_id is 'The proof that it was made for, where no notification waited for this telephone.';
create index attempts_of_proof on call_attempt (proof_id) where proof_id is not null;

create table refusal (
    id           bigint generated always as identity primary key,
    telephone_id bigint      not null references telephone,
    number_hash  bytea       not null,
    at           timestamptz not null,
    proven       boolean     not null,
    lifted_at    timestamptz
);
comment on table refusal is 'Somebody who picked up said twice that they did not ask for this. On a proven telephone nothing follows but that staff are told; three times on unproven ones bar the number from being registered until staff lift it.';
comment on column refusal.number_hash is 'As it was under the key of the time; it is looked for under every key.';
create index refusal_by_hash on refusal (number_hash);

create table wrong_pin (
    id          bigint generated always as identity primary key,
    number_hash bytea       not null,
    at          timestamptz not null,
    locked      boolean     not null
);
comment on table wrong_pin is 'A number and a PIN that do not belong together were entered to manage a registration. So many in a day lock the management of the number, whether it is registered or not, and never a call to it.';
comment on column wrong_pin.locked is 'It came while the number was locked, and does not count for another lock.';
create index wrong_pin_by_hash on wrong_pin (number_hash, at);

create table registering (
    id          bigint generated always as identity primary key,
    caller_hash bytea,
    at          timestamptz not null
);
comment on table registering is 'Somebody registered, or tried to, from the number that their telephone presented. Empty where it presented none.';
create index registering_by_caller on registering (caller_hash, at);
create index registering_by_time on registering (at);

create table staff_act (
    id            bigint generated always as identity primary key,
    at            timestamptz not null,
    who           text        not null,
    what          text        not null,
    registrant_id bigint      references registrant
);
comment on table staff_act is 'What a person of the service did to a registrant by the command line. Rows are added, and never changed or removed.';
create function only_added() returns trigger language plpgsql as $$
begin
    raise exception '% is only added to', tg_table_name using errcode = 'check_violation';
end $$;
create trigger only_added before update or delete on staff_act for each statement execute function only_added();

-- Of a registrant's telephones, the one whose turn it is. Places may have gaps: the next one that is there, else the first.
create view to_call as
    select n.id as notification_id, n.event_id, n.next_call_at, t.id as telephone_id, t.number_hash, t.number_cipher, t.key_id
    from notification n
    join registration r on r.id = n.registration_id
    cross join lateral (
        select * from telephone t where t.registrant_id = r.registrant_id and t.ended_at is null
        order by place < next_place, place limit 1
    ) t
    where n.state = 'open';
