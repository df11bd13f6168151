-- What was proven stays proven to whoever says that they did not ask for it, and a number that is changed stays until then.

alter table telephone add column proven_once boolean not null default false,
    add column replaces bigint references telephone on delete set null;
update telephone t set proven_once = true
    where proven_at is not null or exists (select from proof p where p.telephone_id = t.id and p.state = 'proven');
create index replaced_telephone on telephone (replaces) where replaces is not null;

comment on column telephone.proven_once is
    'Whether it was ever proven, also with a PIN that staff have replaced since. Then whoever picks up cannot end it.';
comment on column telephone.replaces is
    'The telephone of the same registrant that ends when this one is proven, because they asked to be called here instead.';
comment on column telephone.ended_at is
    'When it stopped to be called: somebody who picked up said twice that they did not ask for this, or another one was proven that replaces it.';

comment on table wrong_pin is
    'A number and a PIN were entered that do not belong together, or were not proven to: to manage a registration, to register, to add a telephone or to change a PIN. So many in a day lock the management of the number for a day, whether it is registered or not, and never a call to it.';
comment on table registering is 'From the number that their telephone presented, somebody registered, or changed their number. Empty where it presented none.';
