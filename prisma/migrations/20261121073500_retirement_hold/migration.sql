-- A month of the trail belongs to all tenants: while any legal hold is in force, none is removed.
grant usage on schema custody to maristan_gate;
grant select (tenant_id, lifted_at) on custody.legal_hold to maristan_gate;
create policy gate on custody.legal_hold for select to maristan_gate using (true);
grant maristan_gate to current_user;
grant create on schema gate to maristan_gate;
create function gate.hold_in_force()
  returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$ select exists (select from custody.legal_hold h where h.lifted_at is null) $$;
alter function gate.hold_in_force() owner to maristan_gate;
revoke all on function gate.hold_in_force() from public;
revoke create on schema gate from maristan_gate;
revoke maristan_gate from current_user;
grant execute on function gate.hold_in_force() to maristan_worker;
