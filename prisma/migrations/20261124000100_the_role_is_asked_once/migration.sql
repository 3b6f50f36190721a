-- The same condition as before, asked once a statement and not once a row. The planner took a comparison of the caller's role with two names for one
-- that hardly any row meets: it expected one of eighty consents, and sorted a person's thousands to find the first five.
alter policy actor on care.recipient using ((select current_setting('app.role', true) in ('care_coordinator', 'compliance_officer')));
alter policy actor on care.party using ((select current_setting('app.role', true) in ('care_coordinator', 'compliance_officer')));
alter policy actor on care.edge using ((select current_setting('app.role', true) in ('care_coordinator', 'compliance_officer')));
alter policy actor on care.consent using ((select current_setting('app.role', true) in ('care_coordinator', 'compliance_officer')));
alter policy actor on care.disclosure_grant using ((select current_setting('app.role', true) in ('care_coordinator', 'compliance_officer')));
